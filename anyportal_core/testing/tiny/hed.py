"""Tiny HED as the published file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from anyportal_core.plugins.cogvideox.edges import HED_FILE, Hed
from anyportal_core.testing.tiny.random import randomised

WIDTHS: Final = (2, 3, 4, 4, 4)


def write_hed(folder: Path, seed: int = 0) -> None:
    """A folder with the file."""
    folder.mkdir(parents=True)
    torch.save(randomised(Hed(WIDTHS), seed).state_dict(), folder / HED_FILE)
