"""ProPainter read from files of the published names and keys."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from anyportal_core.errors import CheckpointError, ModelNotFoundError  # noqa: E402
from anyportal_core.plugins.propainter.loading import GENERATOR, load_propainter  # noqa: E402
from anyportal_core.testing.tiny.propainter import write_propainter  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_propainter(tmp_path)
    return tmp_path


def test_a_folder_of_other_sizes_says_so(folder: Path) -> None:
    raft, completion, generator = load_propainter(folder)
    stored = torch.load(folder / GENERATOR, weights_only=True)
    assert all(torch.equal(value, stored[key]) for key, value in generator.state_dict().items())
    assert raft.steps == 2 and not completion.training


def test_without_a_configuration_the_published_sizes_are_expected(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="of another shape"):
        load_propainter(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / GENERATOR).unlink()
    with pytest.raises(ModelNotFoundError, match=GENERATOR):
        load_propainter(folder)
