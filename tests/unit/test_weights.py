"""Published checkpoints: read strictly, by their own names, and never as code."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
from argparse import Namespace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from safetensors.torch import save_file  # noqa: E402

from anyportal_core.errors import CheckpointError, ModelNotFoundError  # noqa: E402
from anyportal_core.plugins.cogvideox.controlnet import CogVideoXControlnet  # noqa: E402
from anyportal_core.plugins.cogvideox.published import load_codec, load_schedule  # noqa: E402
from anyportal_core.plugins.das.transformer import CogVideoXTransformer3DModelTracking  # noqa: E402
from anyportal_core.plugins.weights import Checkpoint, fill, load_network, read_checkpoint  # noqa: E402
from anyportal_core.testing.tiny import cogvideox as tiny  # noqa: E402


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("evil",)


def tensors() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}


def linear() -> torch.nn.Module:
    return torch.nn.ModuleDict({"a": torch.nn.Linear(3, 2)})


def write_shards(folder: Path, **changes: str) -> Path:
    save_file({"a.weight": tensors()["a.weight"]}, folder / "model-1.safetensors")
    save_file({"a.bias": tensors()["a.bias"]}, folder / "model-2.safetensors")
    shard_of = {"a.weight": "model-1.safetensors", "a.bias": "model-2.safetensors"} | changes
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shard_of}), "utf-8")
    return index


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.bin", "x.pt"])
def test_one_file_is_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    save_file(tensors(), file) if file.suffix == ".safetensors" else torch.save(tensors(), file)
    checkpoint = read_checkpoint(file if file.suffix == ".pt" else tmp_path)
    assert checkpoint.file == file
    assert torch.equal(fill(linear(), checkpoint)["a"].weight, torch.ones(2, 3))


def test_a_sharded_one_is_read_through_its_index(tmp_path: Path) -> None:
    index = write_shards(tmp_path)
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.file == index
    assert checkpoint.tensors.keys() == tensors().keys()


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path)
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(ModelNotFoundError) as caught:
        read_checkpoint(tmp_path)
    assert caught.value.where == str(tmp_path / "model-2.safetensors")


@pytest.mark.parametrize("outside", ["../secret.safetensors", "/etc/secret.safetensors"])
def test_an_index_cannot_reach_outside_its_folder(tmp_path: Path, outside: str) -> None:
    write_shards(tmp_path, **{"a.bias": outside})
    with pytest.raises(CheckpointError, match="outside"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("index", ["[]", "{}", '{"weight_map": 3}', "{"])
def test_a_broken_index_is_an_error_of_the_file(tmp_path: Path, index: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index, "utf-8")
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_cut_off_file_is_an_error_of_the_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    save_file(tensors(), file) if file.suffix == ".safetensors" else torch.save(tensors(), file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path)
    assert caught.value.where == str(file)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = re.escape(f"something else than tensors, {os.name}.mkdir")
    for name, archive in (("new.bin", True), ("old.pt", False)):
        torch.save({"a.weight": Evil()}, tmp_path / name, _use_new_zipfile_serialization=archive)
        with pytest.raises(CheckpointError, match=named):
            read_checkpoint(tmp_path / name)
    for protocol, cause in ((2, named), (pickle.HIGHEST_PROTOCOL, "it is no file of tensors")):
        (tmp_path / "plain.pt").write_bytes(pickle.dumps({"a.weight": Evil()}, protocol))
        with pytest.raises(CheckpointError, match=cause) as caught:
            read_checkpoint(tmp_path / "plain.pt")
        assert "weights_only" not in caught.value.message
    assert not Path("evil").exists()


def test_a_file_of_an_older_torch_is_read(tmp_path: Path) -> None:
    torch.save(tensors(), tmp_path / "model.bin", _use_new_zipfile_serialization=False)
    assert torch.equal(fill(linear(), read_checkpoint(tmp_path))["a"].weight, torch.ones(2, 3))


@pytest.mark.parametrize(
    ("content", "cause"), [(b"", "empty or cut off"), (b"garbage" * 9, "no file of tensors"), (b"\x80\x02K", "")]
)
def test_what_is_no_pickle_is_an_error_of_the_file(tmp_path: Path, content: bytes, cause: str) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match=cause) as caught:
        read_checkpoint(tmp_path)
    assert "mmap" not in caught.value.message and "weights_only" not in caught.value.message


def test_a_broken_file_of_an_older_torch_is_an_error_of_it_wherever_it_broke(tmp_path: Path) -> None:
    file, rng = tmp_path / "model.bin", random.Random(0)
    torch.save(tensors(), file, _use_new_zipfile_serialization=False)
    whole, refused = file.read_bytes(), 0
    for _ in range(200):
        broken = bytearray(whole)
        broken[rng.randrange(len(broken))] = rng.randrange(256)
        file.write_bytes(broken)
        try:
            read_checkpoint(file)
        except CheckpointError:
            refused += 1
    assert refused > 100


def test_something_else_than_tensors_is_refused(tmp_path: Path) -> None:
    for other, cause in ((3, "something else"), (Namespace(), r"tensors, argparse\.Namespace$")):
        torch.save({"epoch": other, **tensors()}, tmp_path / "model.bin")
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(tmp_path)
        assert re.search(cause, caught.value.message)


def test_an_empty_folder_is_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        read_checkpoint(tmp_path)
    with pytest.raises(ModelNotFoundError):
        read_checkpoint(tmp_path / "nowhere")


def test_wrong_keys_are_named_with_their_file() -> None:
    wrong = {"a.weight": torch.ones(3, 3), **{f"x.{i:02}": torch.ones(1) for i in range(12)}}
    with pytest.raises(CheckpointError) as caught:
        fill(linear(), Checkpoint(Path("some/model.safetensors"), wrong))
    message = caught.value.message
    assert caught.value.where == "some/model.safetensors"
    assert "1 keys missing: a.bias" in message
    assert "12 keys not known to the network: x.00" in message
    assert "x.09 and 2 more" in message
    assert "x.10" not in message
    assert "a.weight (3, 3) for (2, 3)" in message


def test_a_published_folder_becomes_the_network_it_was(tmp_path: Path) -> None:
    network = tiny.tiny_tracking_transformer(3)
    network.save_pretrained(tmp_path)
    loaded = load_network(CogVideoXTransformer3DModelTracking, tmp_path)
    assert loaded.config.num_tracking_blocks == 2
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_what_is_computed_and_not_stored_is_there_after_loading(tmp_path: Path) -> None:
    branch = tiny.tiny_controlnet(use_rotary_positional_embeddings=False)
    branch.save_pretrained(tmp_path)
    loaded = load_network(CogVideoXControlnet, tmp_path, torch.bfloat16)
    assert loaded.dtype == torch.bfloat16
    assert torch.equal(loaded.patch_embed.pos_embedding, branch.patch_embed.pos_embedding)


def test_a_network_needs_its_configuration(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "model.safetensors")
    with pytest.raises(ModelNotFoundError, match="configuration"):
        load_network(CogVideoXControlnet, tmp_path)
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(CheckpointError):
        load_network(CogVideoXControlnet, tmp_path)


def write_scheduler(model: Path, **changes: object) -> None:
    config = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "snr_shift_scale": 1.0,
    } | changes
    (model / "scheduler").mkdir()
    (model / "scheduler" / "scheduler_config.json").write_text(json.dumps(config), "utf-8")


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_noise_schedule_is_the_models_own(tmp_path: Path, shift: float) -> None:
    write_scheduler(tmp_path, snr_shift_scale=shift)
    alpha = load_schedule(tmp_path).alphas[599]
    assert alpha == pytest.approx({1.0: 0.128448, 3.0: 0.046161}[shift], abs=1e-6)


def test_another_noise_schedule_is_refused(tmp_path: Path) -> None:
    write_scheduler(tmp_path, prediction_type="epsilon")
    with pytest.raises(CheckpointError, match="epsilon"):
        load_schedule(tmp_path)


def test_the_codec_is_read_from_its_folder(tmp_path: Path) -> None:
    tiny.tiny_codec(1).save_pretrained(tmp_path / "vae")
    frames = torch.zeros(1, 5, 3, 32, 32)
    mean, _ = load_codec(tmp_path).encode(frames)
    assert mean.shape == (1, 2, 4, 4, 4)
