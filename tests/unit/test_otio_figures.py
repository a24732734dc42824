"""The figures of the report: what pumps flickers, and movement does not; blur takes detail, and light does not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import opentimelineio as otio
import pytest

from anyportal_client.otio.figures import measure
from anyportal_client.otio.outcomes import Result
from anyportal_client.otio.plan import PlannedShot, make_plan
from anyportal_core.testing.clips import Scene, moving_scene, write_images, write_movie

Time, Range = otio.opentime.RationalTime, otio.opentime.TimeRange


@pytest.fixture(scope="module")
def scene() -> Scene:
    return moving_scene(count=30)


@pytest.fixture(scope="module")
def folder(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    write_images(folder / "plate.%04d.png", scene.plate)
    write_images(folder / "matte.%04d.png", np.repeat(scene.matte[..., None], 3, axis=-1))
    return folder


def shot_of(folder: Path) -> PlannedShot:
    reference = otio.schema.ExternalReference(str(folder / "plate.%04d.png"))
    clip = otio.schema.Clip("sh", reference, Range(Time(5, 24), Time(20, 24)))
    return make_plan(clip, folder, {"backdrop": "#102030", "matte": str(folder / "matte.%04d.png")}).shots[0]


def figures(scene: Scene, folder: Path, frames: np.ndarray, sequence: bool = True) -> dict[str, float]:
    shot = shot_of(folder)
    assert shot.span is not None and shot.span.frames == (1006, 1025)
    part = np.clip(frames, 0, 1).astype(np.float32)
    if sequence:
        comp = folder / "comp.%04d.png"
        write_images(comp, part)
    else:
        comp = write_movie(folder / "comp.mp4", part[5:25])
    return measure(shot, Result(1, {"comp": comp}, shot.span.frames))


def test_the_plate_itself_flickers_like_itself_and_has_all_its_detail(scene: Scene, folder: Path) -> None:
    found = figures(scene, folder, scene.plate)
    assert found["flicker"] == found["flicker_plate"]
    assert found["detail"] == pytest.approx(100)


def test_pumping_brightness_is_told_from_movement(scene: Scene, folder: Path) -> None:
    sign = (-1.0) ** np.arange(len(scene.plate))
    pumping = figures(scene, folder, scene.plate * (1 + 0.05 * sign)[:, None, None, None])
    brighter = figures(scene, folder, scene.plate * np.linspace(0.8, 1, len(scene.plate))[:, None, None, None])
    assert pumping["flicker"] > 3 * pumping["flicker_plate"]
    assert brighter["flicker"] < 1.1 * brighter["flicker_plate"]
    assert figures(scene, folder, scene.plate, sequence=False)["flicker"] < 1.2 * pumping["flicker_plate"]


def test_blur_takes_detail_and_another_light_does_not(scene: Scene, folder: Path) -> None:
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 3) for frame in scene.plate])
    assert figures(scene, folder, blurred)["detail"] < 60
    assert figures(scene, folder, scene.plate * 0.6)["detail"] == pytest.approx(100, abs=3)


def test_what_cannot_be_measured_is_left_out(scene: Scene, folder: Path) -> None:
    shot = shot_of(folder)
    assert measure(shot, Result(1, {"comp": folder / "gone.mp4"}, (1006, 1025))) == {}
    assert measure(shot, Result(1, {"matte": folder / "gone.mp4"}, (1006, 1025))) == {}
    (folder / "broken.mp4").write_bytes(b"no movie")
    assert measure(shot, Result(1, {"comp": folder / "broken.mp4"}, (1006, 1025))) == {}
    two = Result(1, {"comp": folder / "plate.%04d.png"}, (1006, 1007))
    assert list(measure(shot, two)) == ["detail"]
