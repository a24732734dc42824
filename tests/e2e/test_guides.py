"""What helps a matte goes from the command to the plug-in: clean plate, garbage, holdout, corrections."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anyportal_core.media.clip import open_clip
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import moving_scene, write_image, write_images

COUNT = 6


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shot of a still camera, the place without its foreground, and hand-made hints."""
    folder = tmp_path_factory.mktemp("desk")
    scene = moving_scene(COUNT, 120, 160, pan=0)
    write_images(folder / "plate.%04d.png", scene.plate)
    write_image(folder / "clean.png", scene.background[0])
    left, corner = np.zeros((120, 160, 3), np.float32), np.zeros((120, 160, 3), np.float32)
    left[:, :80], corner[:20, 140:] = 1, 1
    write_image(folder / "left.png", left)
    write_image(folder / "corner.png", corner)
    for index in (0, 3):
        write_image(folder / f"mask{index}.png", np.repeat(scene.matte[index][..., None], 3, -1))
    np.save(folder / "truth.npy", scene.matte)
    return folder


def submit(desk: Path, out: str, *more: str) -> dict[str, Any]:
    """The last event of a shot whose matte is delivered."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
    ours |= {"ANYPORTAL_STATE": str(desk / "state"), "XDG_CACHE_HOME": str(desk / "cache")}
    command = [sys.executable, "-m", "anyportal_client.cli", "submit", "plate.%04d.png", "--backdrop", "#204060"]
    asked = [*command, "--layers", "matte", "--json", "--out", out, *more]
    done = subprocess.run(
        asked, cwd=desk, env=ours, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def matte(desk: Path, out: str) -> np.ndarray:
    (pattern,) = {path.name.rsplit(".", 2)[0] for path in (desk / out).glob("*.png")}
    with open_clip(MediaRef(desk / out / f"{pattern}.%04d.png")) as clip:
        return np.stack([frame.pixels[..., 0] for frame in clip.frames()])


def test_a_clean_plate_makes_the_matte_and_hints_limit_it(desk: Path) -> None:
    truth = np.load(desk / "truth.npy")
    assert submit(desk, "clean", "--clean-plate", "clean.png")["event"] == "done"
    assert np.abs(matte(desk, "clean") - truth).mean() < 0.06
    hints = ["--clean-plate", "clean.png", "--garbage", "left.png", "--holdout", "corner.png"]
    assert submit(desk, "limited", *hints)["event"] == "done"
    limited = matte(desk, "limited")
    assert limited[:, :, :76].max() < 0.02
    assert limited[:, :16, 144:].min() > 0.98


def test_masks_of_several_frames_are_carried(desk: Path) -> None:
    given = ["--mask", "mask0.png", "--correct", "1004=mask3.png"]
    assert submit(desk, "masks", *given)["event"] == "done"
    found, truth = matte(desk, "masks") > 0.5, np.load(desk / "truth.npy") > 0.5
    overlap = (found & truth).sum((1, 2)) / (found | truth).sum((1, 2))
    assert overlap.mean() > 0.85, overlap


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--correct", "x=mask0.png"], "USAGE"),
        (["--correct", "1002=mask0.png", "--correct", "1002=mask3.png"], "USAGE"),
        (["--correct", "1002=gone.png"], "MEDIA_NOT_FOUND"),
        (["--mask", "mask0.png", "--correct", "2002=mask3.png"], "FRAME_RANGE"),
        (["--garbage", "gone.png"], "MEDIA_NOT_FOUND"),
    ],
)
def test_hints_that_make_no_sense_are_told(desk: Path, more: list[str], code: str) -> None:
    failed = submit(desk, "bad", *more)
    assert (failed["event"], failed["code"]) == ("error", code)
    assert failed["hint"]
