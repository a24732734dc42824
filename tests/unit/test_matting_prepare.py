"""What the matting networks are shown agrees with the processors they are published with."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import EdgeTamVideoConfig, Sam2VideoConfig, image_utils  # noqa: E402

from anyportal_core.ops import opencv  # noqa: E402
from anyportal_core.plugins.matting import edges, tracker  # noqa: E402
from anyportal_core.plugins.matting.edges import UNKNOWN, make_trimap  # noqa: E402
from anyportal_core.testing.drawn import drawn_person  # noqa: E402


def documented(module: str, name: str) -> dict[str, str]:
    """What a processor's class says, read from its source: importing it takes torchvision."""
    found = importlib.util.find_spec(module)
    assert found is not None and found.origin is not None
    tree = ast.parse(Path(found.origin).read_text("utf-8"))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name).body
    return {
        ast.unparse(node.targets[0]): ast.unparse(node.value)
        for node in body
        if isinstance(node, ast.Assign) and len(node.targets) == 1
    }


def picture(height: int = 50, width: int = 70) -> Any:
    return np.random.default_rng(0).random((height, width, 3), np.float32)


def test_the_trackers_see_what_their_processor_documents() -> None:
    said = documented("transformers.models.sam2_video.video_processing_sam2_video", "Sam2VideoVideoProcessor")
    assert tuple(tracker.MEAN) == tuple(getattr(image_utils, said["image_mean"]))
    assert tuple(tracker.DEVIATION) == tuple(getattr(image_utils, said["image_std"]))
    assert said["resample"] == "PILImageResampling.BILINEAR"
    assert said["do_resize"] == said["do_rescale"] == said["do_normalize"] == "True"
    side = ast.literal_eval(said["size"])
    for config in (Sam2VideoConfig(), EdgeTamVideoConfig()):
        assert side == {"height": config.image_size, "width": config.image_size}


@pytest.mark.parametrize("side", [32, 160])
def test_pictures_are_resized_as_pillow_does(side: int) -> None:
    image = pytest.importorskip("PIL.Image")
    levels = np.rint(picture() * 255).astype(np.uint8)
    reference = np.asarray(image.fromarray(levels).resize((side, side), image.Resampling.BILINEAR)) / 255
    seen = tracker.prepare((levels / 255).astype(np.float32), side).permute(1, 2, 0).numpy()
    restored = seen * np.array(tracker.DEVIATION) + np.array(tracker.MEAN)
    assert np.abs(restored - reference).max() < 1.01 / 255


def test_masks_become_zeros_and_ones() -> None:
    mask = np.zeros((50, 70), np.float32)
    mask[10:40, 20:50] = 1
    seen = tracker.prepare_mask(mask, 64)
    assert seen.shape == (1, 1, 64, 64) and set(seen.flatten().tolist()) == {0.0, 1.0}
    assert abs(float(seen.mean()) - float(mask.mean())) < 0.01


def test_vitmatte_sees_what_its_processor_gives() -> None:
    from transformers.models.vitmatte.image_processing_pil_vitmatte import VitMatteImageProcessorPil

    levels = np.rint(picture() * 255).astype(np.uint8)
    trimap = np.random.default_rng(1).choice(np.array([0, 128, 255], np.uint8), levels.shape[:2])
    given = VitMatteImageProcessorPil()(images=levels, trimaps=trimap, return_tensors="pt")["pixel_values"][0]
    seen = edges.prepare((levels / 255).astype(np.float32), (trimap / 255).astype(np.float32))
    assert seen.shape == given.shape == (4, 64, 96)
    assert torch.allclose(seen, given, atol=1e-6)


def test_a_trimap_is_sure_only_of_what_is_true() -> None:
    truth = drawn_person(count=1, height=180, width=240).matte[0]
    trimap = make_trimap(opencv.box(truth, 3), 8, opencv)
    assert set(np.unique(trimap)) == {np.float32(0), UNKNOWN, np.float32(1)}
    assert (truth[trimap == 1] == 1).all() and (truth[trimap == 0] == 0).all()
    assert (trimap == 1).mean() > 0.5 * (truth == 1).mean()
    assert (trimap == UNKNOWN).mean() < 0.2


def test_the_edge_of_something_small_leaves_some_of_it_sure() -> None:
    small = np.zeros((200, 200), np.float32)
    small[90:106, 90:106] = 1
    assert (make_trimap(small, 20, opencv) == 1).any()
