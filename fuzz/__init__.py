"""Fuzz targets: what strangers and broken files may say, said to the real parts. ``python -m fuzz --help``."""
