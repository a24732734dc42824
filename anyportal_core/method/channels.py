"""Planes beside pictures of three channels."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace


def thrice(plane: Any) -> Any:
    """``(...)`` to ``(..., 3)``: arithmetic on equal shapes is several times faster than with a last axis of 1."""
    xp = array_namespace(plane)
    return xp.repeat(plane[..., None], 3, axis=-1)
