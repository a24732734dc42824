"""Replace the background of a strip without a window:

    blender -b edit.blend -P .../anyportal_blender/background.py -- --strip NAME --backdrop beach.jpg --save

The result is a strip above, as from the panel. It ends with the exit codes of the command (docs/errors.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import bpy

if not __package__:  # run as a file: the add-on need not be enabled
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "anyportal_blender"
    __import__(__package__)

from . import call as calls
from . import compat, preferences, results, settings
from .call import Call
from .errors import Refused
from .kit import hostkit
from .shot import Shot, again, shot_of

_CANCELLED = 130


def main(words: list[str]) -> int:
    """Do what a command line says.

    Args:
        words: what follows `--`.

    Returns:
        The exit code.
    """
    given = _parser().parse_args(words)
    try:
        if given.save == "" and not bpy.data.filepath:
            raise Refused("this file has no name yet", "--save", "say --save FILE")
        call = _Said(_shot(given))
        strip = call.run()
        for note in call.notes:
            print(f"AnyPortal: {note}", flush=True)
        if given.save is not None:
            bpy.ops.wm.save_as_mainfile(filepath=os.path.abspath(given.save or bpy.data.filepath))
        print(f"AnyPortal: {strip.name} is there", flush=True)
    except hostkit.Cancelled:
        print("AnyPortal: cancelled", flush=True)
        return _CANCELLED
    except Exception as error:
        if not calls.is_expected(error):
            raise
        print(f"AnyPortal: {calls.text_of(error)}", file=sys.stderr, flush=True)
        return int(getattr(error, "exit_code", 1))
    return 0


class _Said(Call):
    """A call that prints how far it is whenever something new begins."""

    _last = ""

    def step(self, wait: float = 0.0) -> bool:
        over = super().step(wait)
        phase = self.phase.split(",")[0]
        if phase != self._last:
            self._last = phase
            print(f"AnyPortal: {self.shot.title}: {phase}", flush=True)
        return over


def _shot(given: argparse.Namespace) -> Shot:
    scene = compat.scene_named(given.scene) if given.scene else compat.scene_of(bpy.context)
    if scene is None:
        raise Refused("there is no such scene", given.scene, f"there are {', '.join(bpy.data.scenes.keys())}")
    strips = compat.all_strips(scene)
    if given.strip not in strips:
        raise Refused("there is no such strip", given.strip, f"there are {', '.join(strips) or 'none'}")
    strip = strips[given.strip]
    if given.rerun:
        return again(scene, strip if results.is_result(strip) else results.find(scene, strip) or strip)
    if not given.backdrop:
        raise Refused("there is no backdrop", "--backdrop", "give a picture, a clip, #rrggbb or a text")
    return shot_of(scene, strip, _wish(given), given.out)


def _wish(given: argparse.Namespace) -> dict[str, Any]:
    wish = {
        name: getattr(given, name) for name in ("backdrop", "matte", "preset", "subject", "seed", "format", "handles")
    }
    wish |= {"settings": settings.read_settings(given.set), "daemon": given.daemon or preferences.get().daemon}
    return {key: value for key, value in wish.items() if value not in ("", {}, None)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="blender -b FILE -P background.py --", allow_abbrev=False)
    parser.add_argument("--strip", required=True, help="the strip; with --rerun one that has a result, or the result")
    parser.add_argument("--scene", default="", help="default: the one that the sequencer shows")
    for name in ("backdrop", "matte", "preset", "subject", "format", "daemon"):
        parser.add_argument(f"--{name}", default="", help="as of anyportal submit")
    for name in ("seed", "handles"):
        parser.add_argument(f"--{name}", type=int, default=0, help="as of anyportal submit")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; may be repeated")
    parser.add_argument("--out", default="", help="folder of the results; default: as the preferences say")
    parser.add_argument("--rerun", action="store_true", help="once more what made the strip's result")
    parser.add_argument("--save", nargs="?", const="", metavar="FILE", help="save the file afterwards, or as another")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []))
