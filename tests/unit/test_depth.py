"""Depth networks: published folders load, pictures are prepared as their processors do, and no nonsense comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil  # noqa: E402
from transformers.models.zoedepth.image_processing_pil_zoedepth import ZoeDepthImageProcessorPil  # noqa: E402

from anyportal_core.errors import CheckpointError, ModelNotFoundError, NonFiniteLatentsError  # noqa: E402
from anyportal_core.plugins.tracks.depth import FARTHEST, Depth, load_depth  # noqa: E402
from anyportal_core.plugins.tracks.seen import Processor, border, read_processor  # noqa: E402
from anyportal_core.testing.tiny.depth import PICTURES, ZOE_PICTURES, write_depth, write_zoedepth  # noqa: E402

ZOE = {**ZOE_PICTURES, "size": {"height": 384, "width": 512}}
ANYTHING = {**PICTURES, "size": {"height": 518, "width": 518}}
DPT = {"size": 384, "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
"""As published by Intel with ZoeDepth and DPT, and with Depth Anything."""

SHAPES = [(72, 128), (128, 72), (480, 720), (720, 480), (97, 101), (400, 400)]


def processor(tmp_path: Path, config: dict[str, Any], padded: bool) -> Processor:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config), "utf-8")
    return read_processor(tmp_path, padded)


def levels(height: int, width: int) -> np.ndarray:
    """Noise on slopes, in eight bits; away from both ends, where Pillow loses what its filters add."""
    rng = np.random.default_rng(height)
    slopes = 40 + np.linspace(0, 120, height)[:, None, None] * np.linspace(0.2, 1, width)[None, :, None]
    return (slopes + rng.integers(0, 55, (height, width, 3))).astype(np.uint8)


def unit(picture: np.ndarray) -> np.ndarray:
    return (picture / 255).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_zoedepth_sees_what_its_processor_gives(tmp_path: Path, shape: tuple[int, int]) -> None:
    picture = levels(*shape)
    config = {key: value for key, value in ZOE.items() if key != "image_processor_type"}
    given = ZoeDepthImageProcessorPil(**config)(images=picture, return_tensors="pt")["pixel_values"]
    seen = processor(tmp_path, ZOE, padded=True).prepare(unit(picture))
    assert seen.shape == given.shape
    assert torch.allclose(seen, given.to(seen.dtype), atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("config", [ANYTHING, DPT, {**DPT, "resample": 2}], ids=["anything", "dpt", "bilinear"])
def test_depth_anything_and_dpt_see_what_their_processor_gives(
    tmp_path: Path, shape: tuple[int, int], config: dict[str, Any]
) -> None:
    picture = levels(*shape)
    size = config["size"] if isinstance(config["size"], dict) else {"height": 384, "width": 384}
    theirs = {key: value for key, value in config.items() if key != "image_processor_type"} | {"size": size}
    given = DPTImageProcessorPil(**theirs)(images=picture, return_tensors="pt")["pixel_values"]
    seen = processor(tmp_path, config, padded=False).prepare(unit(picture))
    assert seen.shape == given.shape
    # Pillow rounds to eight bits after either direction.
    apart = (seen - given).abs() * torch.tensor(config["image_std"]).view(1, 3, 1, 1)
    assert float(apart.max()) < 1.6 / 255 and float(apart.mean()) < 0.5 / 255


def test_a_portrait_is_scaled_as_little_as_possible(tmp_path: Path) -> None:
    zoe = processor(tmp_path, ZOE, padded=True)
    assert zoe.fit(720, 480) == (768, 512) and zoe.fit(480, 720) == (384, 576)


@pytest.mark.parametrize(("shape", "padded"), [((60, 90), True), ((90, 60), True), ((60, 90), False)])
def test_depth_comes_back_where_it_was(tmp_path: Path, shape: tuple[int, int], padded: bool) -> None:
    prepared = processor(tmp_path, ZOE if padded else ANYTHING, padded)
    picture = np.zeros((*shape, 3), np.float32)
    picture[20:40, 10:30] = 1
    seen = prepared.prepare(picture)
    back = prepared.restore(seen[:, 0] * prepared.deviation[0] + prepared.mean[0], *shape).numpy()
    assert back.shape == shape
    assert ((back > 0.5) == (picture[..., 0] > 0.5)).all()


def test_the_border_is_cut_off_as_the_processor_cuts_it(tmp_path: Path) -> None:
    """The processor's own lines, without torchvision: bicubic to the padded size, then the inner part."""
    found = torch.from_numpy(np.random.default_rng(3).random((1, 96, 128), np.float32))
    height, width = 70, 110
    pad_h, pad_w = int(np.sqrt(height / 2) * 3), int(np.sqrt(width / 2) * 3)
    whole = torch.nn.functional.interpolate(found[None], (height + 2 * pad_h, width + 2 * pad_w), mode="bicubic")
    expected = whole[0, 0, pad_h:-pad_h, pad_w:-pad_w]
    assert (border(height), border(width)) == (pad_h, pad_w)
    assert torch.equal(processor(tmp_path, ZOE, padded=True).restore(found, height, width), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 4)])
@pytest.mark.parametrize("write", [write_depth, write_zoedepth])
def test_odd_pictures_have_depth_too(tmp_path: Path, shape: tuple[int, int], write: Callable[[Path], None]) -> None:
    write(tmp_path / "depth")
    depth = load_depth(tmp_path / "depth", "cpu")(np.full((*shape, 3), 0.5, np.float32))
    assert depth.shape == shape and (depth > 0).all() and np.isfinite(depth).all()


@pytest.mark.parametrize(
    "change", [{"resample": 0}, {"size": {"shortest_edge": 384}}, {"do_pad": True}], ids=["filter", "size", "padding"]
)
def test_a_preparation_that_is_not_known_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="prepared") as refused:
        processor(tmp_path, {**ANYTHING, **change}, padded=False)
    assert "preprocessor_config.json" in refused.value.where and refused.value.hint


PUBLISHED_KEYS = {
    write_depth: (
        "backbone.encoder.layer.0.attention.attention.query.weight",
        "backbone.encoder.layer.1.attention.output.dense.bias",
        "backbone.encoder.layer.1.layer_scale2.lambda1",
        "neck.reassemble_stage.layers.0.projection.weight",
        "head.conv3.weight",
    ),
    write_zoedepth: (
        "backbone.encoder.layer.0.attention.attention.query.weight",
        "backbone.encoder.layer.1.attention.attention.relative_position_bias.relative_position_bias_table",
        "backbone.encoder.layer.2.intermediate.dense.weight",
        "backbone.encoder.layer.3.output.dense.bias",
        "metric_head.attractors.0.conv1.weight",
    ),
}


@pytest.mark.parametrize("write", [write_depth, write_zoedepth])
def test_published_key_names_load(tmp_path: Path, write: Callable[[Path], None]) -> None:
    folder = tmp_path / "depth"
    write(folder)
    tensors = load_file(folder / "model.safetensors")
    assert set(PUBLISHED_KEYS[write]) <= tensors.keys()
    network = load_depth(folder, "cpu")._network
    assert sum(value.numel() for value in network.state_dict().values()) == sum(
        value.numel() for value in tensors.values()
    )
    query = next(v for k, v in network.state_dict().items() if ".0." in k and k.endswith("q_proj.weight"))
    assert torch.equal(query, tensors[PUBLISHED_KEYS[write][0]])


def test_what_older_zoedepth_files_hold_besides_is_let_pass(tmp_path: Path) -> None:
    folder = tmp_path / "depth"
    write_zoedepth(folder)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    for key in [key for key in tensors if key.endswith("relative_position_bias_table")]:
        tensors[key.removesuffix("bias_table") + "index"] = torch.zeros(17, 17, dtype=torch.long)
    save_file(tensors, file, {"format": "pt"})
    assert load_depth(folder, "cpu")(unit(levels(32, 48))).shape == (32, 48)


@pytest.mark.parametrize("write", [write_depth, write_zoedepth])
def test_a_missing_key_is_named(tmp_path: Path, write: Callable[[Path], None]) -> None:
    folder = tmp_path / "depth"
    write(folder)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors.pop("neck.convs.0.weight")
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"neck\.convs\.0\.weight"):
        load_depth(folder, "cpu")


def test_another_network_and_no_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        load_depth(tmp_path, "cpu")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', "utf-8")
    with pytest.raises(CheckpointError, match=r"'bert'.*no depth network"):
        load_depth(tmp_path, "cpu")


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_depth_that_is_no_number_is_an_error(tmp_path: Path, broken: float) -> None:
    folder = tmp_path / "depth"
    write_zoedepth(folder)
    depth = load_depth(folder, "cpu")
    depth._network.metric_head.conv2.bias.fill_(broken)
    depth._network.metric_head.seed_bin_regressor.conv2.bias.fill_(broken)
    with pytest.raises(NonFiniteLatentsError) as stopped:
        depth(unit(levels(32, 48)))
    assert stopped.value.where == "motion" and "depth" in stopped.value.hint


def fixed(kind: str, found: torch.Tensor, tmp_path: Path) -> Depth:
    """Depth by a network that always finds the same."""

    class Network:
        config = type("Config", (), {"model_type": kind})
        device, dtype = torch.device("cpu"), torch.float32

        def __call__(self, seen: torch.Tensor) -> Any:
            return type("Output", (), {"predicted_depth": found})

    return Depth(Network(), processor(tmp_path, ANYTHING, padded=False))


def test_nearness_becomes_distance_and_metres_stay(tmp_path: Path) -> None:
    found = torch.tensor([[[4.0, 4.0], [1.0, 1.0]]])
    picture = np.zeros((2, 2, 3), np.float32)
    assert np.allclose(fixed("depth_anything", found, tmp_path)(picture), [[1, 1], [4, 4]])
    assert np.allclose(fixed("zoedepth", found, tmp_path)(picture), [[4, 4], [1, 1]])
    assert (fixed("depth_anything", torch.zeros(1, 2, 2), tmp_path)(picture) == FARTHEST).all()
