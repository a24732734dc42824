"""Rotary position tables of CogVideoX."""

from __future__ import annotations

from functools import lru_cache

import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed

Table = tuple[torch.Tensor, torch.Tensor]

CONTROL_BASE = (30, 45)
"""The grid, rows by columns, that the ControlNet's pipeline always measures by: 480x720 pixels."""


@lru_cache(maxsize=4)
def rotary_table(grid: tuple[int, int], frames: int, head_dim: int, base: tuple[int, int]) -> Table:
    """Cosines and sines for every video token.

    Positions of a grid of another shape than the base's are spread over the base's centre, so that the model
    meets no position that it was not trained on.

    Args:
        grid: rows and columns of patches.
        frames: latent frames.
        head_dim: channels of one attention head.
        base: rows and columns of the grid that the model was trained on.

    Returns:
        Two float32 tensors ``(frames * rows * columns, head_dim)`` in the order time, row, column; a quarter of
        the channels turns with time, three eighths with the row, three eighths with the column.
    """
    cosines, sines = get_3d_rotary_pos_embed(head_dim, _region(grid, base), grid, frames)
    return cosines, sines


def _region(grid: tuple[int, int], base: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and end corner, in base positions, of the largest centred rectangle of the grid's aspect."""
    rows, columns = grid
    base_rows, base_columns = base
    if rows * base_columns > base_rows * columns:
        size = base_rows, round(base_rows / rows * columns)
    else:
        size = round(base_columns / columns * rows), base_columns
    top, left = round((base_rows - size[0]) / 2), round((base_columns - size[1]) / 2)
    return (top, left), (top + size[0], left + size[1])
