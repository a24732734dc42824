"""Tiny ProPainter: a folder with files of the published names, and a configuration that tells their sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import torch

from anyportal_core.plugins.propainter.flow_completion import FlowCompletion
from anyportal_core.plugins.propainter.generator import Generator
from anyportal_core.plugins.propainter.loading import COMPLETION, GENERATOR, RAFT
from anyportal_core.plugins.raft.network import PREFIX, Raft
from anyportal_core.testing.tiny.random import randomised

SIZES: Final[dict[str, dict[str, Any]]] = {
    "raft": {"width": 8, "steps": 2},
    "completion": {"width": 4},
    "generator": {"width": 8, "tokens": 16, "depth": 2, "hidden": 2},
}


def write_propainter(folder: Path, seed: int = 0) -> None:
    """All three networks."""
    folder.mkdir(parents=True, exist_ok=True)
    raft = randomised(Raft(**SIZES["raft"]), seed).state_dict()
    completion = randomised(FlowCompletion(**SIZES["completion"]), seed + 1).state_dict()
    torch.save({f"{PREFIX}{key}": value for key, value in raft.items()}, folder / RAFT)
    # The published file has these too; nobody reads them.
    torch.save({**completion, "edgeDetector.out_layer.bias": torch.zeros(1)}, folder / COMPLETION)
    torch.save(randomised(Generator(**SIZES["generator"]), seed + 2).state_dict(), folder / GENERATOR)
    (folder / "config.json").write_text(json.dumps(SIZES), "utf-8")
