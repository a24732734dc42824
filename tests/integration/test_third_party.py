"""A package that is not ours adds a plug-in: by an entry point of its own, without a change here."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

SPEC = """
from anyportal_core.registry import PluginSpec

PLUGINS = (
    PluginSpec("studio.half", "matte", "7", "studio_plugin.half:Half", "The left half.", extra=""),
    PluginSpec("studio.broken", "matte", "1", "studio_plugin.absent:Absent", "Needs what is not there."),
)
"""
HALF = """
import numpy as np


class Half:
    def find(self, plate, hints, context):
        for _ in range(len(plate)):
            alpha = np.zeros((1, plate.height, plate.width), np.float32)
            alpha[:, :, : plate.width // 2] = 1
            yield {"alpha": alpha}

    def render(self, frame, stored, given, context):
        alpha = np.zeros(frame.shape[:2], np.float32)
        alpha[:, : frame.shape[1] // 2] = 1
        return alpha
"""
USE = """
import sys
from pathlib import Path

import numpy as np

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import MissingExtraError
from anyportal_core.media.clip import open_clip
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.registry import create
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_images

class Quiet:
    def __getattr__(self, name):
        return lambda *args, **named: None

out = Path(sys.argv[1])
(out / "in").mkdir()
scene = moving_scene(3, 48, 64)
write_images(out / "in/plate.%04d.exr", scene.plate, 1, "half")
catalogue = load_catalogue()
assert "studio_plugin.half" not in sys.modules, "a plug-in is imported when it is used, not before"
assert set(catalogue.broken) == {"rotten"}, catalogue.broken
request = RecipeRequest(
    BackdropChoice("colour", "#ff0000"), settings={"matte.plugin": "studio.half", "relight_strength": 0}
)
recipe = resolve(request, catalogue)
shot = Shot(MediaRef(out / "in/plate.%04d.exr"))
render_shot(shot, recipe, Delivery(), out, DirectoryCache(out / "stages"), Quiet())
plate = next(open_clip(MediaRef(out / "in/plate.%04d.exr")).frames()).pixels
comp = next(open_clip(MediaRef(out / "plate.%04d.exr")).frames()).pixels
assert (comp[:, :32] == plate[:, :32]).all()
assert (comp[:, 32:, 1:] == 0).all() and (comp[:, 32:, 0] > 0.9).all()
try:
    create(catalogue.plugins["studio.broken"])
except MissingExtraError as error:
    assert "studio.broken" in str(error)
else:
    raise AssertionError("a plug-in whose package is absent must say so")
"""


def test_a_plugin_from_another_package_fills_a_role(tmp_path: Path) -> None:
    site = tmp_path / "site"
    package, metadata = site / "studio_plugin", site / "studio_plugin-1.0.dist-info"
    for folder in (package, metadata):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "specs.py").write_text(SPEC)
    (package / "half.py").write_text(HALF)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: studio-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[anyportal.plugins]\nstudio = studio_plugin.specs:PLUGINS\nrotten = studio_plugin.nowhere:PLUGINS\n"
    )
    script = tmp_path / "use.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(site)!r})\n{textwrap.dedent(USE)}")
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run([sys.executable, script, out], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
