"""Models whose small files are missing or wrong: an error of the file, never one of a library's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import VitMatteForImageMatting  # noqa: E402

from anyportal_core.errors import CheckpointError, ModelNotFoundError  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins.cogvideox.published import load_schedule  # noqa: E402
from anyportal_core.plugins.iclight.codec import load_codec  # noqa: E402
from anyportal_core.plugins.iclight.prompt import load_text_encoder, load_tokenizer, token_chunks  # noqa: E402
from anyportal_core.plugins.pretrained import load_published  # noqa: E402
from anyportal_core.plugins.text import load_video_prompts  # noqa: E402
from anyportal_core.plugins.weights import Checkpoint, fill, load_network  # noqa: E402
from anyportal_core.testing.tiny.everything import writers  # noqa: E402
from anyportal_core.testing.tiny.matting import write_vitmatte  # noqa: E402
from anyportal_core.testing.tiny.pictures import write_stable_diffusion, write_tokenizer  # noqa: E402
from anyportal_core.testing.tiny.video import write_cogvideox  # noqa: E402

Load = Callable[[Path], Any]
CPU = torch.device("cpu")


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | values), "utf-8")


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer_config.json"])
def test_a_missing_file_of_clips_vocabulary_is_named(tmp_path: Path, name: str) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    (tmp_path / "tokenizer" / name).unlink()
    with pytest.raises(ModelNotFoundError) as caught:
        load_tokenizer(tmp_path / "tokenizer")
    assert caught.value.where == str(tmp_path / "tokenizer" / name)


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="vocabulary"):
        load_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.json", b""),
        ("vocab.json", b"{"),
        ("vocab.json", b"[]"),
        ("vocab.json", b"\xff\xfe"),
        ("vocab.json", b'{"a": 0, "a</w>": 1}'),
        ("merges.txt", b"#version: 0.2\nthree are wrong"),
        ("merges.txt", b"\xff\xff"),
        ("tokenizer_config.json", b"{"),
    ],
)
def test_a_broken_file_of_clips_vocabulary_is_an_error_of_it(tmp_path: Path, name: str, content: bytes) -> None:
    folder = tmp_path / "tokenizer"
    write_tokenizer(folder)
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="vocabulary") as caught:
        load_tokenizer(folder)
    assert (caught.value.where, caught.value.hint) == (str(folder), "fetch the model again")


def test_a_whole_vocabulary_is_read(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer")
    assert token_chunks(load_tokenizer(tmp_path / "tokenizer"), "a man").shape == (1, 77)


@pytest.mark.parametrize(
    ("part", "values", "load"),
    [
        ("unet", {"cross_attention_dim": "a"}, lambda place: load_network(UNet2DConditionModel, place)),
        ("unet", {"norm_num_groups": 0}, lambda place: load_network(UNet2DConditionModel, place)),
        ("vae", {"down_block_types": ["Unknown"] * 4}, lambda place: load_network(AutoencoderKL, place)),
        ("vae", {"act_fn": "unknown"}, lambda place: load_codec(place, "cpu", torch.float32)),
        ("text_encoder", {"hidden_size": "a"}, load_text_encoder),
        ("text_encoder", {"num_attention_heads": 0}, load_text_encoder),
        ("text_encoder", {"hidden_act": "unknown"}, load_text_encoder),
    ],
)
def test_a_configuration_of_no_network_is_an_error_of_it(
    tmp_path: Path, part: str, values: dict[str, object], load: Load
) -> None:
    write_stable_diffusion(tmp_path / "sd15")
    folder = tmp_path / "sd15" / part
    change(folder / "config.json", **values)
    with pytest.raises(CheckpointError, match="configuration") as caught:
        load(folder)
    assert (caught.value.where, caught.value.hint) == (str(folder / "config.json"), "fetch the model again")


def test_the_video_models_configurations_are_no_exception(tmp_path: Path) -> None:
    place = tmp_path / "video"
    write_cogvideox(place, rotary=True, seed=0)
    change(place / "text_encoder" / "config.json", d_model="a")
    with pytest.raises(CheckpointError, match="configuration"):
        load_video_prompts(place, 8, CPU, torch.float32)
    file = place / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({key: v for key, v in json.loads(file.read_text()).items() if key != "beta_start"}))
    with pytest.raises(CheckpointError, match="beta_start") as caught:
        load_schedule(place)
    assert caught.value.where == str(file)


def test_what_the_library_itself_loads_is_no_exception(tmp_path: Path) -> None:
    write_vitmatte(tmp_path / "vitmatte")
    change(tmp_path / "vitmatte" / "config.json", hidden_size="a")
    with pytest.raises(CheckpointError):
        load_published(VitMatteForImageMatting, tmp_path / "vitmatte", "cpu", torch.float32)


def test_the_library_prints_no_report_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    library = logging.getLogger("transformers")
    before = library.level
    library.addHandler(handler)
    library.setLevel(logging.WARNING)
    write_vitmatte(tmp_path / "vitmatte")
    weights = load_file(tmp_path / "vitmatte" / "model.safetensors")
    save_file(weights | {"other": torch.ones(1)}, tmp_path / "vitmatte" / "model.safetensors")
    try:
        with pytest.raises(CheckpointError, match="not known to the network: other"):
            load_published(VitMatteForImageMatting, tmp_path / "vitmatte", "cpu", torch.float32)
    finally:
        library.removeHandler(handler)
        library.setLevel(before)
    assert not said


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8])
def test_weights_that_are_no_fractions_are_named(kind: torch.dtype) -> None:
    weights = {"weight": torch.ones(2, 3, dtype=kind), "bias": torch.ones(2)}
    with pytest.raises(CheckpointError, match=r"1 keys of another kind of number: weight u?int8") as caught:
        fill(torch.nn.Linear(3, 2), Checkpoint(Path("some/model.safetensors"), weights))
    assert caught.value.where == "some/model.safetensors"


def test_a_counter_may_be_either_kind_of_number() -> None:
    norm = torch.nn.BatchNorm1d(2)
    for kind in (torch.int64, torch.float32):
        weights = {**norm.state_dict(), "num_batches_tracked": torch.tensor(3, dtype=kind)}
        assert int(fill(norm, Checkpoint(Path("x"), weights)).num_batches_tracked) == 3


OPTIONAL = "propainter/config.json"
"""The published one has none."""


@pytest.mark.parametrize("name", sorted(writers()))
def test_whatever_file_of_a_model_is_missing_is_found_before_a_job_runs(tmp_path: Path, name: str) -> None:
    models = Models(tmp_path)
    writers()[name](models.place(name))
    place = models.find(name)
    for file in [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]:
        if file.relative_to(tmp_path).as_posix() == OPTIONAL:
            continue
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(ModelNotFoundError):
            models.require((name,))
        file.write_bytes(content)
    models.require((name,))
