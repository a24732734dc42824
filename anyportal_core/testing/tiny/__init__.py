"""Tiny networks with random weights: the published architectures at a size that a test can run."""
