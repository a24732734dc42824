"""The same without a window: calls for scripts, and the command line of anyportal_nuke_render.py."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import Any, Dict, List, Optional

import anyportal_hostkit as hostkit

import nuke
from anyportal_nuke import actions, again, checkup, flow
from anyportal_nuke.asked import COLOURS, DEFAULTS, LAYERS, MISSING, read_settings
from anyportal_nuke.job import said
from anyportal_nuke.plan import Plan
from anyportal_nuke.refused import Refused
from anyportal_nuke.upstream import RenderFailed

_REFUSED = 2
_FAILED = 6
_CANCELLED = 130
_RANGE = re.compile(r"-?\d+(-\d+)?(x\d+)?")
_TEXTS = (
    ("backdrop", "PATH|#rrggbb|TEXT", "the new surroundings: a picture, a clip, a colour or words"),
    ("matte", "MATTE", "alpha, node:NAME, node:NAME:LAYER.CHANNEL, channel:LAYER.CHANNEL or a path; else it is found"),
    ("mask", "PATH", "the foreground on one frame, a picture"),
    ("mask-frame", "N", "the frame of --mask; else the number in its name, else the first"),
    ("preset", "NAME", "see anyportal presets"),
    ("subject", "TEXT", "who or what is in the foreground"),
    ("seed", "N", "source of every random draw"),
    ("context", "N", "neighbours that a part of a shot is worked out with; else 8, and the whole shot in a rerun"),
    ("layers", "A,B", "of {}".format(LAYERS)),
    ("folder", "DIR", "where versions go; else anyportal beside the script"),
    ("colour-space", "NAME", "the plate's, instead of what the script says"),
    ("colour-config", "FILE|NAME|none", "the OpenColorIO configuration of names, instead of the script's"),
    ("backdrop-colour-space", "NAME", "the backdrop's, where its file does not say"),
    ("compression", "NAME", "of the EXR files: zip, piz, none, or dwab, which is lossy"),
    ("view", "NAME", "of a script with several"),
    ("daemon", "HOST:PORT", "the daemon to use; any: the one done first; local: this machine's"),
    ("priority", "N", "jobs of a greater one run first"),
)


def process(node: nuke.Node, backdrop: str, **asked: Any) -> nuke.Node:
    """Process a node and wait; gives the result's Read. Call it from the main thread.

    Args:
        asked: more of what can be asked for, by the names in `asked.DEFAULTS`: `matte="alpha", colours="straight"`.

    Raises:
        Refused: it cannot be done.
        hostkit.CommandFailed, RenderFailed: why it did not work.
    """
    plan = Plan(node, dict(asked, backdrop=backdrop), flow.find_in([node]))
    job = flow.begin(plan)
    flow.wait_for(job)
    return job.shown.read


def process_again(read: nuke.Node, **changed: Any) -> nuke.Node:
    """Give a result's Read its next version and wait: as before, but for what is said to be changed.

    Raises:
        As `process`.
    """
    asked, plate, find = actions.asked_again(read)
    plan = Plan(plate, dict(asked, **changed), find, again.analysed(read))
    flow.wait_for(flow.begin_again(plan, read))
    return read


def main(arguments: Optional[List[str]] = None) -> int:
    """The command line; gives the exit code, which is the command's own where that failed."""
    try:
        return _run(_parse(command_line() if arguments is None else arguments))
    except Refused as error:
        return _fail(str(error), _REFUSED)
    except hostkit.CommandFailed as error:
        return _fail(said(error), error.exit_code)
    except (hostkit.CommandNotFound, hostkit.BadWish) as error:
        return _fail(said(error), _REFUSED)
    except hostkit.Cancelled:
        return _fail("cancelled", _CANCELLED)
    except (RenderFailed, OSError) as error:
        return _fail(said(error), _FAILED)


def command_line() -> List[str]:
    """The arguments behind the script's name.

    Nuke takes a trailing number or range away from sys.argv, for itself. It keeps all it was given in nuke.rawArgs.
    """
    raw = [str(argument) for argument in getattr(nuke, "rawArgs", [])]
    places = [at for at, argument in enumerate(raw) if os.path.basename(argument) == "anyportal_nuke_render.py"]
    return raw[places[0] + 1 :] if places else sys.argv[1:]


def _parse(arguments: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nuke -t anyportal_nuke_render.py", description=(process.__doc__ or "")[:38])
    parser.add_argument("--script", metavar="FILE", help="the Nuke script to open")
    parser.add_argument("--save", metavar="FILE", help="save the script with the result's nodes under this name")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--node", metavar="NAME", help="the node to process")
    what.add_argument("--rerun", metavar="NAME", help="a result's Read: make its next version, as before")
    what.add_argument("--doctor", action="store_true", help="say what is missing")
    for name, shown, text in _TEXTS:
        parser.add_argument("--" + name, metavar=shown, help=text)
    parser.add_argument("--colours", choices=COLOURS, help="how the plate's colours stand to the matte")
    parser.add_argument("--missing", choices=MISSING, help="what stands in for missing frames; else as the Read says")
    parser.add_argument("--range", dest="frames", metavar="A-B", help="frames: --range=1005,1009-1010")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="NAME=VALUE", help="a setting")
    parser.add_argument("--proxy", action="store_true", help="a quick look at proxy size, labelled so")
    return parser.parse_args(_with_range(arguments))


def _with_range(arguments: List[str]) -> List[str]:
    """`--range 1001-1010` as one word; where Nuke has taken the range away, that is said."""
    if arguments and arguments[-1] == "--range":
        raise Refused("Nuke took the range behind --range for itself.", "Write it in one word: --range=1001-1010")
    joined: List[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--range":
            joined[-1] += "=" + argument  # a negative number is no option
        elif _RANGE.fullmatch(argument) and not (joined and joined[-1].startswith("--")):
            raise Refused("What is {} for?".format(argument), "Write --range={}".format(argument))
        else:
            joined.append(argument)
    return joined


def _run(options: argparse.Namespace) -> int:
    if options.script:
        if not os.path.isfile(options.script):
            raise Refused("{} is not there.".format(options.script), "Check --script.")
        nuke.scriptOpen(options.script)
    if options.doctor:
        found = checkup.checks()
        _say(hostkit.doctor.text_of(found))
        return 0 if hostkit.doctor.worst(found) != hostkit.doctor.BROKEN else 1
    asked = _asked(options)
    find = flow.find_in([])
    if options.rerun:
        read = process_again(find(options.rerun), **asked)
    else:
        read = process(find(options.node), asked.pop("backdrop", ""), **asked)
    if options.save:
        nuke.scriptSaveAs(options.save, 1)
    _say("AnyPortal: {}".format(read["file"].value()))
    return 0


def _asked(options: argparse.Namespace) -> Dict[str, Any]:
    """What was said on the command line, and nothing else: a rerun changes only that."""
    said_ = {name: value for name, value in vars(options).items() if name in DEFAULTS and value not in (None, [])}
    if "settings" in said_:
        settings: Dict[str, Any] = {}
        for each in options.settings:
            settings.update(read_settings(each))
        said_["settings"] = settings
    if options.proxy:
        said_["size"] = "proxy"
    return said_


def _fail(text: str, code: int) -> int:
    sys.stderr.write("AnyPortal: {}\n".format(text))
    return code


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
