"""A matte that is followed by networks, in a job whose other roles are the draft preset's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.models import Models
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_images, write_movie
from anyportal_core.testing.counting import counted
from anyportal_core.testing.tiny.matting import write_edgetam, write_sam2, write_vitmatte
from tests.integration.core_house import Heard

COUNT = 6
SHOWN = 2
"""The frame that the mask belongs to."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    found = Models(tmp_path_factory.mktemp("models"))
    write_sam2(found.place("sam2"))
    write_edgetam(found.place("edgetam"))
    write_vitmatte(found.place("vitmatte"))
    return found


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    folder = tmp_path_factory.mktemp("media")
    scene = moving_scene(COUNT, 64, 96)
    write_movie(folder / "plate.mp4", scene.plate)
    mask = np.repeat(scene.matte[SHOWN : SHOWN + 1, ..., None], 3, axis=-1)
    write_images(folder / "mask.%01d.png", mask, 1)
    return Shot(MediaRef(folder / "plate.mp4"), mask=MediaRef(folder / "mask.1.png"), mask_frame=SHOWN)


def render(shot: Shot, models: Models, folder: Path, plugin: str) -> tuple[list[str], list[bytes]]:
    """The stages that ran, and the comp's frames."""
    request = RecipeRequest(BackdropChoice("colour", "#336699"), "draft", settings={"matte.plugin": plugin})
    catalogue, watcher, out = load_catalogue(), Heard(), folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    recipe = resolve(request, catalogue, frozenset({"mask"}))
    stages = DirectoryCache(folder / "stages")
    render_shot(shot, recipe, Delivery(format="png"), out, stages, watcher, catalogue, models)
    return watcher.ran, [file.read_bytes() for file in sorted(out.iterdir())]


@pytest.mark.parametrize(
    ("plugin", "network"), [("sam.matte", "Sam2VideoModel"), ("edgetam.matte", "EdgeTamVideoModel")]
)
def test_a_followed_matte_in_a_draft_job(plugin: str, network: str, shot: Shot, models: Models, tmp_path: Path) -> None:
    with counted() as counts:
        ran, comp = render(shot, models, tmp_path / "a", plugin)
    assert ran[0] == "matte" and ran[-1] == "finish" and len(comp) == COUNT
    assert counts[network] == COUNT + 1, "the frame of the mask begins both directions"
    assert counts["VitMatteForImageMatting"] == COUNT + 1
    assert render(shot, models, tmp_path / "b", plugin)[1] == comp, "the same job gave other bytes"


def test_other_weights_make_another_matte(shot: Shot, models: Models, tmp_path: Path) -> None:
    render(shot, models, tmp_path, "sam.matte")
    with counted() as counts:
        ran, _ = render(shot, models, tmp_path, "sam.matte")
    assert "matte" not in ran and not counts
    others = Models(tmp_path / "others")
    write_sam2(others.place("sam2"), seed=5)
    write_vitmatte(others.place("vitmatte"))
    assert "matte" in render(shot, others, tmp_path, "sam.matte")[0]
