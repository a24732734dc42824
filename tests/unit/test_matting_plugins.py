"""Mattes that are followed through a shot, by tiny random networks where a daemon would have the published ones."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import EdgeTamVideoModel, Sam2VideoModel  # noqa: E402
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession  # noqa: E402

from anyportal_core.errors import (  # noqa: E402
    Cancelled,
    CheckpointError,
    MissingExtraError,
    ModelNotFoundError,
    NoForegroundError,
    NonFiniteLatentsError,
    RecipeError,
)
from anyportal_core.frames import ArraySource, Image  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins.loaded import forget  # noqa: E402
from anyportal_core.plugins.matting.edges import UNKNOWN, SoftEdges  # noqa: E402
from anyportal_core.plugins.matting.specs import MATTES  # noqa: E402
from anyportal_core.plugins.matting.tracker import Prompt, Tracker, prepare, prepare_mask  # noqa: E402
from anyportal_core.plugins.pretrained import load_published  # noqa: E402
from anyportal_core.registry import PluginSpec, create  # noqa: E402
from anyportal_core.roles import Prompts, RoleContext  # noqa: E402
from anyportal_core.roles.matte import MatteHints  # noqa: E402
from anyportal_core.settings import Settings  # noqa: E402
from anyportal_core.testing.clips import Scene  # noqa: E402
from anyportal_core.testing.counting import counted  # noqa: E402
from anyportal_core.testing.drawn import drawn_person  # noqa: E402
from anyportal_core.testing.matte_contract import CHECKS, MatteCase, renders_a_clean_core  # noqa: E402
from anyportal_core.testing.tiny.matting import SIDE, write_edgetam, write_sam2, write_vitmatte  # noqa: E402

SPECS = {spec.name: spec for spec in MATTES}
NAMES = tuple(SPECS)
SAM = SPECS["sam.matte"]
LONG = 9
"""Longer than the tiny networks look back."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    found = Models(tmp_path_factory.mktemp("models"))
    write_sam2(found.place("sam2"))
    write_edgetam(found.place("edgetam"))
    write_vitmatte(found.place("vitmatte"))
    yield found
    forget()


@pytest.fixture(scope="module")
def scene() -> Scene:
    return drawn_person(count=LONG, height=48, width=64)


def go_on() -> None:
    """Nobody cancels."""


def context(spec: PluginSpec, models: Models, checkpoint: Callable[[], None] = go_on, **given: Any) -> RoleContext:
    settings = Settings.check(spec.settings, given, spec.name)
    return RoleContext(settings, np.random.default_rng, checkpoint, lambda text: None, Prompts(), models, "cpu")


def found(spec: PluginSpec, plate: Image, hints: MatteHints, models: Models, **given: Any) -> Image:
    chunks = create(spec).find(ArraySource(plate), hints, context(spec, models, **given))
    return np.concatenate([chunk["alpha"] for chunk in chunks]).astype(np.float32)


def mask_of(scene: Scene, index: int) -> MatteHints:
    return MatteHints(mask=(scene.matte[index] > 0.5).astype(np.float32), mask_index=index)


def sam2(models: Models, dtype: Any = torch.float32) -> Any:
    return load_published(Sam2VideoModel, models.find("sam2"), "cpu", dtype)


@pytest.mark.parametrize("check", [c for c in CHECKS if c is not renders_a_clean_core], ids=lambda c: str(c.__name__))
@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, check: Callable[[MatteCase], None], models: Models, scene: Scene) -> None:
    """All but what takes a network that was trained."""

    def hints(scene: Scene, count: int) -> MatteHints:
        return mask_of(scene, count // 2)

    check(MatteCase(SPECS[name], scene, hints, tolerance=1.0, models=models))


@pytest.mark.parametrize("name", NAMES)
def test_the_frames_before_the_mask_are_followed_backwards(name: str, models: Models, scene: Scene) -> None:
    there = found(SPECS[name], scene.plate, mask_of(scene, 3), models)
    turned = Scene(scene.plate[::-1], scene.matte[::-1], scene.background)
    back = found(SPECS[name], turned.plate, mask_of(turned, LONG - 4), models)[::-1]
    assert np.abs(there - back).max() < 1 / 255, "frames that waited on disk have eight bits"
    assert np.abs(np.diff(there, axis=0)).max(axis=(1, 2)).min() > 0.01, "every frame has a matte of its own"


def test_every_network_looks_at_every_frame(models: Models, scene: Scene) -> None:
    with counted() as counts:
        found(SAM, scene.plate, mask_of(scene, 0), models)
    assert counts["Sam2VideoModel"] == counts["VitMatteForImageMatting"] == LONG
    assert counts["Sam2VideoMemoryAttention"] == LONG - 1


def test_following_agrees_with_the_library_on_a_whole_clip(models: Models, scene: Scene) -> None:
    network = sam2(models)
    clip = torch.stack([prepare(frame, SIDE) for frame in scene.plate])
    session = Sam2VideoInferenceSession(video=clip, dtype=torch.float32)
    session.add_mask_inputs(session.obj_id_to_idx(0), 0, prepare_mask(scene.matte[0], SIDE))
    session.obj_with_new_inputs = [0]
    theirs = [told.pred_masks for told in network.propagate_in_video_iterator(session, start_frame_idx=0)]
    ours = [p for _, p in Tracker(network, Sam2VideoInferenceSession).follow(scene.plate, Prompt(scene.matte[0]))]
    assert len(theirs) == len(ours) == LONG
    for logits, probability in zip(theirs, ours, strict=True):
        large = torch.nn.functional.interpolate(logits, probability.shape, mode="bilinear")[0, 0]
        assert np.allclose(large.sigmoid().numpy(), probability, atol=1e-6)


def test_memory_is_bounded_by_what_is_looked_back_at(models: Models, scene: Scene) -> None:
    sessions: list[Any] = []

    def watched(**given: Any) -> Any:
        sessions.append(Sam2VideoInferenceSession(**given))
        return sessions[-1]

    network = sam2(models)
    list(Tracker(network, watched).follow(scene.plate, Prompt(scene.matte[0])))
    (session,) = sessions
    kept = session.output_dict_per_obj[0]["non_cond_frame_outputs"]
    assert set(kept) == set(range(LONG - network.config.max_object_pointers_in_encoder, LONG))
    assert all("high_res_masks" not in outputs for outputs in kept.values())
    assert not session.processed_frames


def test_clicks_and_boxes_point_at_the_foreground(models: Models, scene: Scene) -> None:
    for given in ({"click": "0.5,0.5"}, {"box": "0.3,0.1,0.7,1"}, {"click": "0.5,0.5", "box": "0.3,0.1,0.7,1"}):
        assert found(SAM, scene.plate[:2], MatteHints(), models, **given).shape == (2, 48, 64)
    tracker = Tracker(sam2(models), Sam2VideoInferenceSession)
    box = (0.3, 0.1, 0.7, 1.0)
    prompts = [
        Prompt(clicks=((0.5, 0.5),)),
        Prompt(clicks=((0.1, 0.2),)),
        Prompt(box=box),
        Prompt(None, ((0.5, 0.5),), box),
    ]
    looks = [next(iter(tracker.follow(scene.plate, prompt)))[1] for prompt in prompts]
    assert len({look.tobytes() for look in looks}) == len(prompts)


def test_coordinates_are_those_that_the_library_makes(models: Models) -> None:
    session = Sam2VideoInferenceSession()
    prompt = Prompt(clicks=((0.5, 0.25),), box=(0.0, 0.125, 1.0, 0.5))
    Tracker(sam2(models), Sam2VideoInferenceSession)._begin(session, prompt)
    points = session.point_inputs_per_obj[0][0]
    assert points["point_labels"].tolist() == [[[2, 3, 1]]]
    assert points["point_coords"].tolist() == [[[[0.0, 8.0], [64.0, 32.0], [32.0, 16.0]]]]


@pytest.mark.parametrize(
    "given",
    [{"click": "0.5"}, {"click": "0.5,2"}, {"click": "a,b"}, {"box": "0.7,0,0.3,1"}, {"box": "0,0,1,1;0,0,1,1"}],
)
def test_a_click_or_box_that_cannot_be_read(given: dict[str, str], models: Models, scene: Scene) -> None:
    with pytest.raises(RecipeError) as refused:
        found(SAM, scene.plate, MatteHints(), models, **given)
    assert refused.value.where == f"recipe.settings.matte.{next(iter(given))}"


def test_without_a_hint_the_person_is_followed(models: Models) -> None:
    scene = drawn_person(count=3)
    plate = np.concatenate([scene.background[:1], scene.plate])
    alpha = found(SAM, plate, MatteHints(), models)
    assert alpha.shape == plate.shape[:3]
    sure = alpha[1][scene.matte[0] == 1]
    assert (sure == 1).mean() > 0.5, "the first frame that shows the person is where the mask is from"


def test_nobody_and_an_empty_mask_are_refused(models: Models, scene: Scene) -> None:
    with pytest.raises(NoForegroundError, match="nobody"):
        found(SAM, np.full((2, 48, 64, 3), 0.5, np.float32), MatteHints(), models)
    with pytest.raises(NoForegroundError, match="empty"):
        found(SAM, scene.plate, MatteHints(mask=np.zeros((48, 64), np.float32)), models)


def test_it_stops_between_frames(models: Models, scene: Scene) -> None:
    calls = 0

    def cancel() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Cancelled("the user asked for it")

    with counted() as counts, pytest.raises(Cancelled):
        list(create(SAM).find(ArraySource(scene.plate), mask_of(scene, 0), context(SAM, models, cancel)))
    assert counts["VitMatteForImageMatting"] == 2


def test_soft_edges_leave_what_is_sure_alone(models: Models) -> None:
    from transformers import VitMatteForImageMatting

    edges = SoftEdges(load_published(VitMatteForImageMatting, models.find("vitmatte"), "cpu", torch.float32))
    frame = np.random.default_rng(0).random((40, 50, 3), np.float32)
    trimap = np.zeros((40, 50), np.float32)
    trimap[10:30], trimap[15:25] = UNKNOWN, 1
    alpha = edges(frame, trimap)
    sure = trimap != UNKNOWN
    assert np.array_equal(alpha[sure], trimap[sure])
    assert alpha[~sure].min() >= 0 and alpha[~sure].max() <= 1 and len(np.unique(alpha[~sure])) > 100
    with counted() as counts:
        assert edges(frame, np.ones((40, 50), np.float32)).min() == 1
    assert not counts


def test_half_precision_follows_too(models: Models, scene: Scene) -> None:
    tracker = Tracker(sam2(models, torch.bfloat16), Sam2VideoInferenceSession)
    half = np.stack([p for _, p in tracker.follow(scene.plate[:3], Prompt(scene.matte[0]))])
    tracker = Tracker(sam2(models), Sam2VideoInferenceSession)
    full = np.stack([p for _, p in tracker.follow(scene.plate[:3], Prompt(scene.matte[0]))])
    assert half.dtype == np.float32 and np.abs(half - full).mean() < 0.05


def test_a_model_that_is_not_there(tmp_path: Path, scene: Scene) -> None:
    with pytest.raises(ModelNotFoundError, match="sam2"):
        found(SAM, scene.plate, mask_of(scene, 0), Models(tmp_path))


@pytest.mark.parametrize("kind", ["missing", "not known", "another shape", "unreadable"])
def test_weights_of_another_network_are_refused(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "sam2"
    write_sam2(folder)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    if kind == "missing":
        tensors.pop("mask_downsample.weight")
    elif kind == "not known":
        tensors["prompt_encoder.mask_downsample"] = torch.zeros(1)
    elif kind == "another shape":
        tensors["mask_downsample.weight"] = torch.zeros(2, 2)
    save_file(tensors, file)
    if kind == "unreadable":
        file.write_bytes(b"not weights")
    with pytest.raises(CheckpointError) as refused:
        load_published(Sam2VideoModel, folder, "cpu", torch.float32)
    assert str(folder) in refused.value.where
    if kind != "unreadable":
        assert kind in refused.value.message and "mask_downsample" in refused.value.message


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_the_published_edgetam_says_what_it_is_built_on(tmp_path: Path) -> None:
    folder = tmp_path / "edgetam"
    write_edgetam(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    backbone = {"model_type": "timm_wrapper", "architecture": "repvit_m1.dist_in1k"}
    config["vision_config"] = {"model_type": "edgetam_vision_model", "backbone_config": backbone}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(MissingExtraError, match="timm"):
        load_published(EdgeTamVideoModel, folder, "cpu", torch.float32)


def test_numbers_out_of_range_are_named(models: Models, scene: Scene, tmp_path: Path) -> None:
    broken = Models(tmp_path)
    write_sam2(broken.place("sam2"))
    write_vitmatte(broken.place("vitmatte"))
    file = broken.place("sam2") / "model.safetensors"
    tensors = load_file(file)
    tensors["mask_decoder.upscale_conv1.bias"].fill_(float("nan"))
    save_file(tensors, file)
    with pytest.raises(NonFiniteLatentsError):
        found(SAM, scene.plate, mask_of(scene, 0), broken)


def test_progress_is_told_while_the_earlier_frames_wait(models: Models, scene: Scene) -> None:
    """They are all found before the first chunk can be given out."""
    told: list[float] = []
    given = replace(context(SAM, models), progress=told.append)
    count = 6
    chunks = create(SAM).find(ArraySource(scene.plate[:count]), mask_of(scene, 4), given)
    assert sum(len(chunk["alpha"]) for chunk in chunks) == count
    assert told == pytest.approx([step / (count + 1) for step in range(1, count + 2)])
