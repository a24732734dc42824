"""ProPainter from the files it is published as."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from anyportal_core.plugins.propainter.flow_completion import FlowCompletion, published_keys
from anyportal_core.plugins.propainter.generator import Generator
from anyportal_core.plugins.raft.network import Raft, load_raft
from anyportal_core.plugins.weights import CONFIG, Checkpoint, empty_network, fill, read_checkpoint, read_config

RAFT: Final = "raft-things.pth"
COMPLETION: Final = "recurrent_flow_completion.pth"
GENERATOR: Final = "ProPainter.pth"


def load_propainter(folder: Path) -> tuple[Raft, FlowCompletion, Generator]:
    """The three networks of a folder.

    The published files are of one size. A folder with networks of other sizes says so in a ``config.json``:
    arguments of the networks under ``raft``, ``completion`` and ``generator``.

    Raises:
        ModelNotFoundError: a file is not there.
        CheckpointError: a file is not what it should be.
    """
    sizes: dict[str, Any] = read_config(folder) if (folder / CONFIG).is_file() else {}
    completion, generator = read_checkpoint(folder / COMPLETION), read_checkpoint(folder / GENERATOR)
    return (
        load_raft(folder / RAFT, **sizes.get("raft", {})),
        fill(
            empty_network(FlowCompletion, sizes.get("completion", {}), folder / CONFIG),
            Checkpoint(completion.file, published_keys(completion.tensors)),
        ),
        fill(empty_network(Generator, sizes.get("generator", {}), folder / CONFIG), generator),
    )
