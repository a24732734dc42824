"""Where models lie, which are missing, and the digests of their files."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from anyportal_core import file_digests, models
from anyportal_core.errors import Cancelled, ModelNotFoundError
from anyportal_core.file_digests import FileDigests
from anyportal_core.models import Models


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read for their digests, all of them counted as large."""
    seen: list[Path] = []
    read = file_digests._read
    monkeypatch.setattr(file_digests, "LARGE", 4)
    monkeypatch.setattr(file_digests, "_read", lambda file, checkpoint: seen.append(file) or read(file, checkpoint))
    return seen


def test_all_missing_models_are_named_at_once(tmp_path: Path) -> None:
    found = Models(tmp_path)
    found.place("hed").mkdir()
    (found.place("hed") / "ControlNetHED.pth").write_bytes(b"x")
    with pytest.raises(ModelNotFoundError) as caught:
        found.require(["das", "hed", "depth", "studio/own", "das"])
    error = caught.value
    assert "3 models" in error.message and "'das' (about 26 GB), 'depth' (about 1.4 GB), 'studio/own'" in error.message
    assert error.where == str(tmp_path) and "'hed'" not in error.message
    assert "Diffusion-As-Shader" in error.hint and "zoedepth" in error.hint and "ANYPORTAL_MODELS" in error.hint


def test_one_missing_model_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"'das' \(about 26 GB\)") as caught:
        Models(tmp_path).find("das")
    assert caught.value.where == str(tmp_path / "das")


def test_a_model_that_is_there_in_part_says_what_is_missing(tmp_path: Path) -> None:
    found = Models(tmp_path)
    place = found.place("sam2")
    (place / ".cache").mkdir(parents=True)
    for name, missing in [("config.json", "config.json"), ("model.safetensors.index.json", "*.safetensors")]:
        with pytest.raises(ModelNotFoundError, match="only in part") as caught:
            found.find("sam2")
        assert caught.value.where == str(place / missing)
        (place / name).write_text(json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}), "utf-8")
    for shard in ("1.safetensors", "2.safetensors"):
        with pytest.raises(ModelNotFoundError, match=shard):
            found.find("sam2")
        (place / shard).write_bytes(b"x")
    assert found.find("sam2") == place


def test_the_next_process_does_not_read_a_file_again(tmp_path: Path, reads: list[Path]) -> None:
    file, memory = tmp_path / "weights", tmp_path / "cache" / "digests.json"
    file.write_bytes(b"many gigabytes")
    expected = hashlib.sha256(b"many gigabytes").hexdigest()
    assert [FileDigests(memory).of(file) for _ in range(3)] == [expected] * 3
    assert len(reads) == 1
    assert [path.name for path in memory.parent.iterdir()] == ["digests.json"]


def test_a_file_of_another_size_or_time_is_read_again(tmp_path: Path, reads: list[Path]) -> None:
    file, memory = tmp_path / "weights", tmp_path / "digests.json"
    file.write_bytes(b"one that is")
    first = FileDigests(memory).of(file)
    stat = file.stat()
    file.write_bytes(b"one that was")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = FileDigests(memory).of(file)
    file.write_bytes(b"two that was")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
    assert len({first, second, FileDigests(memory).of(file)}) == 3
    assert len(reads) == 3


def test_two_processes_remember_what_both_have_read(tmp_path: Path, reads: list[Path]) -> None:
    files = [tmp_path / "one", tmp_path / "other"]
    memory = tmp_path / "digests.json"
    processes = [FileDigests(memory) for _ in files]
    for file in files:
        file.write_bytes(file.name.encode() * 4)
    processes[0].of(files[0])
    processes[1]._recall()
    processes[0].of(files[1])
    processes[1].of(files[1])
    last = FileDigests(memory)
    for file in files:
        last.of(file)
    assert len(reads) == 2 + 1  # the second process did not know of what the first read after it had looked


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"weights": 3}', b'{"weights": ["a", 1, 2]}', b"\xff"])
def test_a_damaged_memory_is_none(tmp_path: Path, reads: list[Path], content: bytes) -> None:
    file, memory = tmp_path / "weights", tmp_path / "digests.json"
    file.write_bytes(b"weights")
    memory.write_bytes(content)
    assert FileDigests(memory).of(file) == hashlib.sha256(b"weights").hexdigest()
    FileDigests(memory).of(file)
    assert len(reads) == 1


def test_a_memory_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, reads: list[Path]) -> None:
    file, memory = tmp_path / "weights", tmp_path / "weights" / "digests.json"
    file.write_bytes(b"weights")
    assert FileDigests(memory).of(file) == FileDigests(memory).of(file)
    assert len(reads) == 2


def test_small_files_are_not_written_down(tmp_path: Path) -> None:
    file, memory = tmp_path / "weights", tmp_path / "digests.json"
    file.write_bytes(b"weights")
    FileDigests(memory).of(file)
    assert not memory.exists()


def test_reading_can_be_stopped_within_a_file(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_digests", FileDigests(tmp_path / "digests.json"))
    found, calls = Models(tmp_path / "models"), []
    found.root.mkdir()
    (found.root / "own").write_bytes(b"weights of a model")

    def checkpoint() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        found.revision("own", checkpoint)
    assert len(calls) == 2 and not (tmp_path / "digests.json").exists()
    assert found.revision("own", lambda: calls.append(1)) == found.revision("own")
    assert len(reads) == 2 and len(calls) > 3
