"""The version that these scripts came with; that of the package."""

VERSION = "0.1.0"
