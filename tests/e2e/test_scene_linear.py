"""Scene-linear work as a compositor asks for it: names of colour spaces, a show's configuration, retakes, layers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.testing.clips import moving_scene, write_images

COUNT = 6
GREY_CODE = 0.391
"""Of 18 % grey in LogC3, EI 800 (ARRI's white paper)."""

SHOW = """ocio_profile_version: 2
search_path: luts
roles: {default: raw, scene_linear: lin, aces_interchange: aces}
displays: {d: [!<View> {name: v, colorspace: raw}]}
colorspaces:
  - !<ColorSpace> {name: raw, isdata: true}
  - !<ColorSpace> {name: aces}
  - !<ColorSpace> {name: lin}
  - !<ColorSpace>
    name: show_log
    to_scene_reference: !<FileTransform> {src: %s}
"""
HALF = "Version 1\nFrom 0.0 1.0\nLength 3\nComponents 1\n{\n0.0\n0.25\n1.0\n}\n"


@dataclass(frozen=True)
class Desk:
    folder: Path

    def submit(self, out: str, *more: str, **env: str) -> dict[str, Any]:
        """The last event of a shot, sent by the command in a process of its own."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("ANYPORTAL_", "OCIO"))}
        ours |= {"ANYPORTAL_STATE": str(self.folder / "state"), "XDG_CACHE_HOME": str(self.folder / "cache"), **env}
        command = [
            sys.executable,
            "-m",
            "anyportal_client.cli",
            "submit",
            "plate.%04d.png",
            "--matte",
            "matte.%04d.png",
        ]
        asked = ["--backdrop", "#808080", "--set", "relight_strength=0", "--format", "exr", "--json", "--out", out]
        done = subprocess.run(
            [*command, *asked, *more],
            cwd=self.folder,
            env=ours,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def pixels(self, out: str, number: int = 1003) -> tuple[np.ndarray, oiio.ImageSpec]:
        image = oiio.ImageBuf(str(self.folder / out / f"plate.{number}.exr"))
        return np.asarray(image.get_pixels(oiio.FLOAT)), image.spec()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A log plate, 18 % grey all over the middle of the foreground, and a show's colour configuration."""
    folder = tmp_path_factory.mktemp("desk")
    scene = moving_scene(COUNT, 64, 96)
    plate = 0.2 + 0.4 * scene.plate
    plate[:, 30:50, 42:54] = GREY_CODE
    write_images(folder / "plate.%04d.png", plate, storage="uint16")
    write_images(folder / "matte.%04d.png", scene.matte[..., None], storage="uint16")
    (folder / "show/luts").mkdir(parents=True)
    (folder / "show/luts/curve.spi1d").write_text(HALF)
    (folder / "show/config.ocio").write_text(SHOW % "curve.spi1d")
    (folder / "show/foreign.ocio").write_text(SHOW % (folder / "show/luts/curve.spi1d"))
    return Desk(folder)


def test_a_camera_log_is_delivered_as_light(desk: Desk) -> None:
    assert desk.submit("log", "--colour-space", "ARRI LogC3 (EI800)")["event"] == "done"
    pixels, spec = desk.pixels("log")
    np.testing.assert_allclose(pixels[38:42, 46:50, :3], 0.18, atol=0.002)
    ap1 = (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)
    np.testing.assert_allclose(spec.getattribute("chromaticities"), ap1, atol=1e-3)


def test_results_come_in_the_space_asked_for(desk: Desk) -> None:
    said = desk.submit("wide", "--colour-space", "LogC3", "--out-colour-space", "ACES2065-1")
    if said["event"] == "error":  # a bare name may be refused, with the full ones offered
        assert "LogC3" in said["hint"] + said["message"]
    assert (
        desk.submit("wide", "--colour-space", "ARRI LogC3 (EI800)", "--out-colour-space", "ACES2065-1")["event"]
        == "done"
    )
    pixels, spec = desk.pixels("wide")
    np.testing.assert_allclose(pixels[38:42, 46:50, :3], 0.18, atol=0.002)
    assert spec.getattribute("chromaticities")[0] == pytest.approx(0.7347, abs=1e-3)


def test_a_show_explains_its_own_names(desk: Desk) -> None:
    """By its tables, which travel with it."""
    show = str(desk.folder / "show/config.ocio")
    assert desk.submit("show", "--colour-space", "show_log", OCIO=show)["event"] == "done"
    pixels, _ = desk.pixels("show")
    np.testing.assert_allclose(pixels[38:42, 46:50, :3], GREY_CODE / 2, atol=0.002)
    given = desk.submit("given", "--colour-space", "show_log", "--colour-config", show)
    assert given["event"] == "done"
    assert (desk.folder / "given/plate.1003.exr").read_bytes() == (desk.folder / "show/plate.1003.exr").read_bytes()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--colour-space", "shw_log", "--colour-config", "show/config.ocio"], "UNKNOWN_NAME", "show_log"),
        (["--colour-space", "LogZ"], "UNKNOWN_NAME", "Log"),
        (["--colour-config", "show/gone.ocio"], "COLOUR_CONFIG", "gone.ocio"),
        (["--colour-config", "studio-config-v0"], "UNKNOWN_NAME", "studio-config"),
        (["--colour-space", "show_log", "--colour-config", "show/foreign.ocio"], "MEDIA_UNREADABLE", "outside"),
        (["--compression", "rar"], "UNKNOWN_NAME", "zip"),
        (["--missing", "skip"], "UNKNOWN_NAME", "hold"),
        (["--range", "1002-1009", "--within", "1001-1004"], "FRAME_RANGE", "1001-1004"),
    ],
)
def test_what_makes_no_sense_is_said(desk: Desk, more: list[str], code: str, said: str) -> None:
    failed = desk.submit("bad", *more)
    assert failed["event"] == "error"
    assert failed["code"] == code
    assert said in json.dumps(failed)


def test_a_retake_is_a_part_of_the_shot(desk: Desk) -> None:
    linear = ["--colour-space", "ACEScg", "--set", "relight_strength=0.7", "--set", "grain=1"]
    assert desk.submit("whole", *linear)["event"] == "done"
    assert desk.submit("part", *linear, "--range", "1003-1004", "--within", "1001-1006")["frames"] == "1003-1004"
    for number in (1003, 1004):
        name = f"plate.{number}.exr"
        assert (desk.folder / "part" / name).read_bytes() == (desk.folder / "whole" / name).read_bytes()


def test_layers_on_request_and_lossy_compression(desk: Desk) -> None:
    layers = ["--layers", "comp,foreground,background,matte,shadow,wrap", "--compression", "dwab"]
    accents = ["--set", "shadow=0.5", "--set", "wrap=0.3", "--set", "wrap_width=5"]
    assert desk.submit("layers", "--colour-space", "ACEScg", *layers, *accents)["event"] == "done"
    _, spec = desk.pixels("layers")
    assert {"shadow.A", "wrap.R", "matte.A", "foreground.G"} <= set(spec.channelnames)
    assert spec.getattribute("compression").startswith("dwab")
