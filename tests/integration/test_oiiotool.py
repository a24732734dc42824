"""Results as a tool of another house reads them: layers, windows, header, and the comp reckoned anew from its parts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.delivery import Delivery
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_image, write_images
from tests.integration.core_house import recipe_for, render

TOOL = Path(sys.executable).with_name("oiiotool")
LAYERS = ("comp", "foreground", "background", "matte", "gain")

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="the wheel of OpenImageIO here has no oiiotool")


def oiiotool(*arguments: object) -> str:
    ran = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module", params=["half", "float"])
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shot with overscan, relit, soft at its edges, with values far from 0..1."""
    folder, scene = tmp_path_factory.mktemp("shot"), moving_scene(3, 72, 104)
    plate = scene.plate * 40 - 0.05
    attributes: dict[str, Any] = {"owner": "a studio", "smpte:TimeCode": ("timecode", (0x01000000, 0))}
    for index, pixels in enumerate(plate):
        path = folder / f"plate.{1001 + index}.exr"
        write_image(path, pixels, request.param, attributes=attributes, window=(4, 4, 96, 64))
    write_images(folder / "matte.%04d.exr", scene.matte[..., None].repeat(3, -1), storage="half", window=(4, 4, 96, 64))
    write_image(folder / "backdrop.png", scene.background[0] * 0.5)
    shot = Shot(
        MediaRef(folder / "plate.%04d.exr"),
        matte=MediaRef(folder / "matte.%04d.exr"),
        backdrop=MediaRef(folder / "backdrop.png"),
        name="shot",
    )
    render(shot, recipe_for(folder / "backdrop.png"), folder / "out", Delivery(LAYERS, format="exr"))
    return folder / "out/shot.1002.exr"


def test_it_reads_layers_windows_and_header(result: Path) -> None:
    said = oiiotool("--info", "-v", result)
    kind = "float" if "float openexr" in said else "half"
    assert f"104 x   72, 14 channel, {kind} openexr" in said
    assert "full/display size: 96 x 64" in said
    assert "full/display origin: 4, 4" in said
    for channel in ("R, G, B, A", "foreground.R", "background.B", "matte.A", "gain.G"):
        assert channel in said
    assert 'Copyright: "a studio"' in said
    assert "smpte:TimeCode: 01:00:00:00" in said
    assert "anyportal/recipe_json" in said


def test_it_makes_the_comp_of_the_layers(result: Path, tmp_path: Path) -> None:
    """In its own float arithmetic, saved in the file's type, to the last bit."""
    kind = str(oiio.ImageBuf(str(result)).spec().format)

    def layer(name: str) -> list[str]:
        return [str(result), "--ch", f"R={name}.R,G={name}.G,B={name}.B"]

    matte = [str(result), "--ch", "R=matte.A,G=matte.A,B=matte.A"]
    over = [*matte, "--mulc", "-1", "--addc", "1"]
    oiiotool(*layer("foreground"), *matte, "--mul", *layer("background"), *over, "--mul", "--add", "-d", kind, "-o",
             tmp_path / "comp.exr")  # fmt: skip
    oiiotool(result, "--ch", "R,G,B", "-o", tmp_path / "stored.exr")
    made, stored = (oiio.ImageBuf(str(tmp_path / name)) for name in ("comp.exr", "stored.exr"))
    assert str(made.spec().format) == str(stored.spec().format) == kind
    np.testing.assert_array_equal(made.get_pixels(), stored.get_pixels())
    assert float(stored.get_pixels().max()) > 4
