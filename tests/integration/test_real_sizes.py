"""Random weights of published sizes, as the benchmark writes them: loaders take them, in parts too."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins.iclight.codec import load_codec  # noqa: E402
from anyportal_core.plugins.raft.network import load_raft  # noqa: E402
from benchmarks import real_sizes  # noqa: E402


def test_a_folder_in_parts_is_read_and_gives_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_sizes, "SHARD", 50_000_000)
    writer = real_sizes.Writer(Models(tmp_path), "cpu")
    folder = tmp_path / "vae"
    writer.folder(folder, real_sizes.MANIFESTS["sd15_vae"], torch.float16, real_sizes.DIFFUSERS)
    assert len(list(folder.glob("*.safetensors"))) == 4
    codec = load_codec(folder, "cpu", torch.float32)
    with torch.no_grad():
        latents = codec.encode(torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(0)))
        assert 0.01 < latents.std() < 10 and 0.01 < codec.decode(latents).std() < 1


def test_a_file_is_read_and_is_not_written_again(tmp_path: Path) -> None:
    writer = real_sizes.Writer(Models(tmp_path), "cpu")
    file = tmp_path / "propainter" / "raft-things.pth"
    writer.file(file, real_sizes.MANIFESTS["raft"], torch.float32)
    before = file.read_bytes()
    writer.file(file, real_sizes.MANIFESTS["raft"], torch.float32)
    assert file.read_bytes() == before
    pictures = torch.rand((2, 1, 3, 128, 128), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        flow = load_raft(file)(*pictures)
    assert torch.isfinite(flow).all() and flow.std() > 0
