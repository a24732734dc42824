"""A real Blender without a window, a real command in its own environment, and a real daemon that all tests share.

`make test-blender` sets up the environment: `bpy` needs another numpy than the project, so the command that is driven
here is that of `make test`, as a studio's would be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.blender.cut import Cut

CLIENT = Path(__file__).parents[2] / "clients/blender"
FRAMES = 12

_MEDIA = """
import sys
from pathlib import Path
from anyportal_core.testing.clips import moving_scene, write_images, write_movie

out, count = Path(sys.argv[1]), int(sys.argv[2])
scene = moving_scene(count, height=96, width=160)
write_movie(out / "plate.mp4", scene.plate)
write_movie(out / "matte.mp4", scene.matte[..., None].repeat(3, -1))
write_images(out / "plate.%04d.png", scene.plate)
write_images(out / "matte.%04d.png", scene.matte[..., None].repeat(3, -1))
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and "bpy" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.blender)


@pytest.fixture(scope="session")
def bpy() -> ModuleType:
    """Blender itself."""
    return pytest.importorskip("bpy", reason="bpy is not installed here: make test-blender has an environment for it")


@pytest.fixture(scope="session")
def addon(bpy: ModuleType) -> Iterator[ModuleType]:
    """The add-on, where Blender finds it; each file that is opened enables it."""
    sys.path.insert(0, str(CLIENT))
    import addon_utils
    import anyportal_blender

    yield anyportal_blender
    addon_utils.disable("anyportal_blender")


@pytest.fixture(scope="session")
def command(addon: ModuleType) -> str:
    """The command that the add-on drives."""
    from anyportal_hostkit import find_command

    return str(find_command()[0])


@pytest.fixture(scope="session")
def media(command: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate and its matte, as movies and as pictures from 1001; made where the command lives."""
    folder = tmp_path_factory.mktemp("media")
    python = Path(command).with_name("python")
    subprocess.run([python, "-c", _MEDIA, folder, str(FRAMES)], check=True, env=_clean())
    return folder


@pytest.fixture(scope="session")
def daemon(command: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A daemon on this machine, found as users' hosts find theirs; what it said when it began to serve."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ANYPORTAL_") and name != "ANYPORTAL_COMMAND"]:
            patch.delenv(name)
        patch.setenv("ANYPORTAL_STATE", str(tmp_path_factory.mktemp("state")))
        serve = [command, "serve", "--listen", "127.0.0.1:0", "--json", "--stop-with-stdin"]
        process = subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_clean())
        assert process.stdout is not None
        serving = json.loads(process.stdout.readline())
        assert serving["event"] == "serving"
        yield serving
        process.communicate(timeout=60)


@pytest.fixture
def cut(addon: ModuleType, daemon: dict[str, Any], media: Path, tmp_path: Path) -> Cut:
    """A new file with an empty sequencer."""
    from tests.blender.cut import Cut

    return Cut(tmp_path, media)


@pytest.fixture
def ticks(addon: Any, bpy: Any) -> Callable[..., None]:
    """Call the timer until it ends, or something holds."""
    from anyportal_blender import running

    def tick(until: Callable[[], bool] = lambda: False) -> None:
        end, going = time.monotonic() + 90, True
        while going and not (running.now() and until()):
            with bpy.context.temp_override(window=None):  # as timers are called
                going = running.tick() is not None
            assert time.monotonic() < end
            time.sleep(0.02)

    return tick


def _clean() -> dict[str, str]:
    from anyportal_hostkit import clean_environment

    return dict(clean_environment())
