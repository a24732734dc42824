"""Weights that ship with the draft preset: MediaPipe selfie segmentation (Apache-2.0, see LICENSE)."""
