"""What will be done with a node: what is sent as it is, what is rendered and why, and where the result shows."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List, Optional, Tuple

from anyportal_hostkit import frames, paths

import nuke
from anyportal_nuke import ranges, upstream
from anyportal_nuke.asked import CONTEXT, complete
from anyportal_nuke.footage import Footage, footage_of, missing_of, read_of
from anyportal_nuke.matte import read_matte
from anyportal_nuke.source import Wanted, rendered, source_of
from anyportal_nuke.undo import full_size

_NUMBER = re.compile(r"[._](-?\d+)\.\w+$")


class Plan(object):
    """One shot, thought through; nothing has been made yet.

    Args:
        node: what is processed.
        asked: what a person asks for, as in asked.py.
        find: gives the node of a name, or refuses.
        before: where a result is made again: the files that it was analysed with; none where nobody knows any more.

    Raises:
        Refused: it cannot be done.
    """

    def __init__(
        self,
        node: nuke.Node,
        asked: Dict[str, Any],
        find: Callable[[str], nuke.Node],
        before: Optional[List[int]] = None,
    ) -> None:
        self.asked = complete(asked)
        self.node = node
        with full_size():
            self._think(node, find)
            self._look_around(before)
        # Frozen here, in the main thread: the work asks from its own, and the script may be saved elsewhere meanwhile.
        self._rate = "{:.6g}".format(float(nuke.root()["fps"].value()))
        self._results = str(self.asked["folder"]) or results_folder()

    def _think(self, node: nuke.Node, find: Callable[[str], nuke.Node]) -> None:
        upstream.check_upstream(node)
        self.name = paths.safe_name(node.fullName(), "shot")
        self.proxy = self.asked["size"] == "proxy"
        self.matte = read_matte(str(self.asked["matte"]), node, find, str(self.asked["colours"]))
        if self.matte.node is not None and self.matte.node is not node:
            upstream.check_upstream(self.matte.node)
            read_of(self.matte.node)
        self.missing = str(self.asked["missing"]) or missing_of(node)
        self.footage, self.look, self.reason = source_of(node, self._wanted())
        self.range = ranges.choose(node, self._shown(), str(self.asked["frames"]))
        self.box, self.whole = self._boxes()

    def _wanted(self) -> Wanted:
        space, config = (str(self.asked[name]).strip() for name in ("colour_space", "colour_config"))
        divided, apart = self.matte.colours == "premultiplied", self.matte.kind == "channel"
        return Wanted(space, config, divided, apart, self.proxy, self.missing)

    def _look_around(self, before: Optional[List[int]]) -> None:
        """What a part of a shot is worked out with: a few neighbours; made again, the whole that it is a part of."""
        self.context, self.within = 0, []
        chosen, whole = self.range.frames, self.range.whole
        if self.still or len(chosen) == len(whole):
            return
        if before is None or self.asked["context"] != "":
            self.context = int(self.asked["context"]) if self.asked["context"] != "" else CONTEXT
            return
        analysed = [frame + self.shift for frame in before] or whole
        first, last = max(min(analysed), min(whole)), min(max(analysed), max(whole))
        self.within = list(range(min(first, chosen[0]), max(last, chosen[-1]) + 1))

    def render_instead(self, box: upstream.Frame, reason: str) -> None:
        """Have the node rendered, within a box, though its files could be sent.

        Raises:
            Refused: in this working space it cannot be.
        """
        self.footage, self.look, self.reason = rendered(self.node, self._wanted(), reason)
        self.box = box

    @property
    def rendered(self) -> bool:
        """Whether the plate is rendered."""
        return self.footage is None

    @property
    def still(self) -> bool:
        return self.footage is not None and self.footage.kind == "still"

    @property
    def shift(self) -> int:
        """How much later than its number a file of the result shows."""
        return self.footage.shift if self.footage is not None else 0

    @property
    def overscan(self) -> bool:
        return self.rendered and self.box[:4] != self.whole[:4]

    @property
    def wanted(self) -> List[int]:
        """The numbers of the files that are asked for."""
        return [frame - self.shift for frame in self.range.frames]

    def renders(self) -> Tuple[List[int], bool]:
        """The frames of the script to render, and whether it is the matte alone."""
        alone = not self.rendered
        if alone and self.matte.kind != "channel":
            return [], False
        if self.still:
            return [self.range.frames[0]], True
        return self.within or ranges.around(self.range.frames, self.context, self.range.whole), alone

    def wish(self) -> Dict[str, Any]:
        """What `anyportal submit` is told, but for rendered files and the results' name."""
        asked = self.asked
        settings = dict(asked["settings"])
        if self.matte.colours in ("premultiplied", "straight"):  # the former are divided while they are rendered
            settings.setdefault("clean_edges", False)
        wish = {
            "plate": self.footage.path if self.footage is not None else "",
            "range": "" if self.still else frames.text_of(self.wanted),
            "handles": 0 if self.still else self.context,
            "matte": self._matte_argument(),
            "within": frames.text_of([frame - self.shift for frame in self.within]),
            "colour_space": self.look.space.name,
            "out_colour_space": self.look.out,
            "colour_config": self.look.config,
            "settings": settings,
            "format": "exr",
        }
        wish.update((name, asked[name]) for name in ("backdrop", "preset", "subject", "seed", "layers"))
        wish.update(self._mask())
        optional = ("backdrop_colour_space", "compression", "daemon", "priority")
        wish.update((name, asked[name]) for name in optional if asked[name])
        if not self.rendered and self.missing != "error":
            wish["missing"] = self.missing
        if self.footage is None or self.footage.kind == "sequence":
            wish["rate"] = self._rate
        return wish

    def folder(self) -> str:
        """Where the versions of this shot lie: a proxy's apart, under a name that says so."""
        return os.path.join(self._results, self.name + ("_proxy" if self.proxy else ""))

    def told(self) -> str:
        """What will be done, for a person."""
        lines = ["{} frames, {}: {}".format(len(self.range.frames), self.range.origin, self._range_text())]
        if self.footage is not None:
            lines.append("sent as it is: {}".format(self.footage.path))
        else:
            lines.append("rendered to EXR, since {}".format(self.reason))
        if self.overscan:
            lines.append("overscan is kept: {}x{} pixels".format(*size(self.box)))
        lines.append("colours: {}".format(self.look.space.name))
        if self.within:
            lines.append("worked out with {}, as before".format(frames.text_of(self.within)))
        if self.proxy:
            lines.append("PROXY: the result is a quick look, not for delivery")
        return "\n".join(lines)

    def _range_text(self) -> str:
        return str(frames.text_of(self.range.frames))

    def _shown(self) -> Optional[Footage]:
        """The footage that the node shows, whether it is sent or not."""
        if self.footage is not None:
            return self.footage
        read = read_of(self.node)
        return footage_of(read, self.missing)[0] if read is not None else None

    def _boxes(self) -> Tuple[upstream.Frame, upstream.Frame]:
        whole = upstream.format_of(self.node)
        return (upstream.box_of(self.node, self.range.whole) if self.rendered else whole), whole

    def _mask(self) -> Dict[str, Any]:
        """The mask and its frame: as stated, else by the number in its name, as everywhere."""
        mask, stated = str(self.asked["mask"]), str(self.asked["mask_frame"])
        if not mask:
            return {}
        if stated:
            return {"mask": mask, "mask_frame": int(stated) - self.shift}
        found = _NUMBER.search(mask)
        number = int(found.group(1)) if found else None
        inside = number is not None and number in range(self.wanted[0], self.wanted[-1] + 1)
        return {"mask": mask, "mask_frame": number if inside else None}

    def _matte_argument(self) -> str:
        if self.matte.kind == "file":
            return self.matte.path
        if self.matte.kind == "alpha" or (self.rendered and self.matte.kind == "channel"):
            return "alpha"
        return ""  # none, or rendered apart: its path is not known yet


def size(box: upstream.Frame) -> Tuple[int, int]:
    """Width and height."""
    return box.right - box.x, box.top - box.y


def results_folder() -> str:
    """Beside the script; in the home folder where it was never saved."""
    script = nuke.root().name()
    base = os.path.dirname(script) if os.path.isfile(script) else os.path.expanduser("~")
    return str(paths.forward(os.path.join(base, "anyportal")))
