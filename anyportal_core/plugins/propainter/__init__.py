"""ProPainter: the foreground taken out of a plate (arXiv 2309.03897)."""
