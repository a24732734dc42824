"""One clip on its way: rendered where it must be, processed, placed, saved, read back."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

import anyportal_hostkit as hostkit

from anyportal_resolve import baking, bins, colours, placing, tags
from anyportal_resolve.choosing import find_item
from anyportal_resolve.clips import Clip
from anyportal_resolve.connection import check_open
from anyportal_resolve.media import is_result, path_of
from anyportal_resolve.refusal import Refused
from anyportal_resolve.results import lost_version, shot_folder

if TYPE_CHECKING:
    from anyportal_resolve.connection import Desk

BAKED_SHARE = 0.3
"""Of a clip's progress, where it is rendered first."""
LIGHT = "it is linear light, and its plate is not"
Change = Callable[..., None]
Cancelled = Callable[[], bool]


class Shot(object):
    """A clip, what is wished for it, and what comes of it.

    Args:
        wish: `backdrop`, `placement` (take or track), `handles`, and what `anyportal submit` takes besides, as in
            anyportal_hostkit.request.
        folder: where results go; the shot gets a folder of its own in it.
        tell: called with what changes, by name, for whoever looks.

    Attributes:
        state: ready, rendering, waiting, working, placing, done, failed or cancelled.
        said: where the result is, and what Resolve did not do.
    """

    def __init__(self, desk: Desk, clip: Clip, wish: Dict[str, Any], folder: str, tell: Change) -> None:
        self.clip = clip
        self.state = "ready"
        self.message = self.hint = self.said = ""
        self.version = self.path = ""
        self.problems: List[str] = []
        self._desk, self._wish, self._tell = desk, dict(wish), tell
        self._wished = self._wish.pop("placement", "take")
        self._handles = int(self._wish.pop("handles", 0) or 0)
        self._folder = shot_folder(folder, clip)
        self._cancelled: Cancelled = lambda: False
        self._work: Any = None
        self._plate = ""
        self._plan()

    @property
    def at_work(self) -> bool:
        """Whether the command is at work on it."""
        return self._work is not None

    def start(self, cancelled: Cancelled) -> None:
        """Render it where that must be, then have the command begin."""
        with _Failing(self):
            if self.clip.refused:
                raise Refused(self.clip.refused, self.clip.hint)
            self._cancelled = cancelled
            lost = lost_version(self._folder)
            if lost:
                self._fetch(lost)
            else:
                self._submit()

    def step(self, wait: float = 0.0) -> None:
        """Hear what the command says; place the result once it is there."""
        if self._work is None:
            return
        with _Failing(self):
            for event in self._work.poll(wait):
                self._hear(event)
            if not self._work.running:
                work, self._work = self._work, None
                done = self._result(work)
                if done:
                    self._place(work, done)

    def cancel(self) -> None:
        """End it, where it has not ended."""
        if self._work is not None:
            self._work.cancel()
        elif self.state == "ready":
            self._change("cancelled")

    def fail(self, message: str, hint: str = "") -> None:
        """It did not work."""
        self._work, self.message, self.hint = None, message, hint
        self._forget_plate()
        self._change("failed", message=message, hint=hint)

    def end_cancelled(self) -> None:
        """Somebody asked for the end."""
        self._work = None
        self._forget_plate()
        self._change("cancelled")

    def _plan(self) -> None:
        """How the clip is processed and placed, by what is wished."""
        self._placement = self.clip.placed_as(self._wished)
        self._baked = bool(self.clip.bake_for(self._placement))
        self._span = (0, self.clip.duration - 1)

    def _submit(self) -> None:
        plate = self._bake(self._cancelled) if self._baked else self._source()
        name = hostkit.paths.safe_name(os.path.splitext(self.clip.name)[0])
        wish = dict(self._wish, name=name + "_{version}", **plate)
        if not self._baked:  # what Resolve renders says by its tags what it is
            wish.update(colours.wish_of(colours.stated(self._desk.project, self.clip.plate), wish))
        self._work = hostkit.Work(self._folder, wish, self._host())
        self._change("waiting", stage="sending")

    def _result(self, work: Any) -> Dict[str, Any]:
        """What came of the work; empty where an earlier result cannot be had again, and is being made anew."""
        try:
            return dict(work.result())
        except (hostkit.CommandFailed, hostkit.Cancelled) as error:
            if not isinstance(work, hostkit.Fetch) or self._cancelled():
                raise
            why = getattr(error, "message", str(error))
            if not work.gone:
                hint = "{}, or delete {}: it is made anew then".format(
                    getattr(error, "hint", "") or "Wait", work.folder
                )
                raise Refused("The result of a session that ended before does not come: {}".format(why), hint) from None
            self.problems = ["the result of a session that ended before is gone ({}): made anew".format(why)]
        self._plan()
        self._submit()
        return {}

    def _fetch(self, folder: str) -> None:
        """Bring what was made for a session that ended before its result came; nothing is made anew."""
        host = hostkit.record.read(folder)["host"]
        self._span, self._baked = tuple(host["span"]), bool(host["baked"])
        self._placement = host["placement"]
        self._work = hostkit.Fetch(folder)
        self.problems.append("from a session that ended before; run again for what you ask now")
        self._change("waiting", stage="bringing an earlier result")

    def _bake(self, cancelled: Cancelled) -> Dict[str, Any]:
        self._change("rendering", fraction=0.0)
        self._plate = baking.bake(
            self._desk,
            self.clip,
            os.path.join(self._folder, "plates"),
            lambda fraction: self._change("rendering", fraction=BAKED_SHARE * fraction),
            cancelled,
        )
        self._tell(before={"path": self._plate, "frame": self.clip.duration // 2})
        return {"plate": self._plate}

    def _forget_plate(self) -> None:
        """What was rendered for nothing; where there is a result, it stays beside that."""
        if self._plate and not self.path:
            shutil.rmtree(os.path.dirname(self._plate), ignore_errors=True)

    def _source(self) -> Dict[str, Any]:
        media = self.clip.media
        assert media is not None
        if media.still:
            return {"plate": media.path}
        self._span = self.clip.span(self._handles)
        wish: Dict[str, Any] = {
            "plate": media.path,
            "range": "{}-{}".format(*(media.start + frame for frame in self._span)),
        }
        if self._wish.get("mask") and self.clip.shown is not None:
            wish["mask_frame"] = (
                media.start + self.clip.shown.first
            )  # a mask is drawn on the clip's first, not a handle
        if hostkit.has_counter(media.path):
            wish["rate"] = "{:.6g}".format(media.rate or self.clip.rate or 24)
        return wish

    def _hear(self, event: Dict[str, Any]) -> None:
        before = BAKED_SHARE if self._baked else 0.0
        if event["event"] == "progress":
            self._change("working", stage=event["stage"], fraction=before + (1 - before) * event["fraction"])
        elif event["event"] == "upload":
            self._change("waiting", stage="sending footage")
        elif event["event"] == "state" and event["state"] == "queued":
            self._change("waiting", stage="in the queue")
        elif event["event"] == "log" and event["severity"] == "warning":
            self.problems.append(event["text"])

    def _place(self, work: Any, done: Dict[str, Any]) -> None:
        """The result into the bin and the timeline; then the project saved and read back."""
        self._change("placing", fraction=1.0)
        self.version, self.path = work.version, done["files"]["comp"]
        check_open(self._desk)
        found = find_item(self._desk.timeline, self.clip.id)
        media = bins.import_result(self._desk, self.path, hostkit.frames.parse(done["frames"]), self.version)
        if colours.is_as_its_plate(work.wish, self.path):
            self.problems += bins.copy_colour(self._desk.project, self.clip.plate, media, self._baked)
        else:
            self.problems.append("set the colour space of the result by hand: {}".format(LIGHT))
        if found is None:
            raise Refused("The clip is no longer on the timeline", placing.IN_BIN)
        now = Clip(found[0], found[1], self.clip.rate, self.clip.edit)
        placed = self._put(now, media, self._part(now))
        self._tag(now, placed, work, done)
        if not self._desk.manager.SaveProject():
            self.problems.append("the project could not be saved")
        gone = placing.lost(self._desk, placed, self.path)
        if gone:
            raise Refused("After saving, {}".format(gone), placing.IN_BIN + ": place it by hand")
        self.said = "; ".join(["{}: {}".format(self.version, placed.words), *self.problems])
        self._change("done", said=self.said, after=self._after(done))

    def _part(self, now: Clip) -> placing.Part:
        """The part of the result that the clip shows now: while it was processed somebody may have trimmed it."""
        length = self._span[1] - self._span[0] + 1
        if self._baked or now.shown is None:
            if self._baked and now.duration != length:
                raise Refused("The clip was trimmed while it was processed", placing.IN_BIN)
            return placing.Part(0, now.duration, now.duration)
        shown = now.shown
        first = shown.first - self._span[0]
        most = min(shown.most, length - first)
        if first < 0 or most < shown.sure:
            raise Refused("The clip was trimmed beyond the handles while it was processed", placing.IN_BIN)
        return placing.Part(first, shown.sure, most, shown.speed < 0)

    def _put(self, now: Clip, media: Any, part: placing.Part) -> placing.Placed:
        if self._placement == "take":
            return placing.add_take(now.item, media, part)
        before = self._result_of(now)
        if before is not None:  # a rerun: another take of what is there, never a second clip
            placed = placing.add_take(before[0], media, part)
            return placed._replace(words="{} on track V{}".format(placed.words, before[1]))
        return placing.put_above(self._desk, media, now.place, part)

    def _result_of(self, now: Clip) -> Optional[Tuple[Any, int]]:
        """The earlier result above a clip, and its track; None where it belongs to another or lies elsewhere by now."""
        found = find_item(self._desk.timeline, str((now.tag or {}).get("result", "")))
        if found is None or (tags.own_tag(found[0]) or {}).get("of") != now.id:
            return None
        there = (int(found[0].GetStart()), int(found[0].GetEnd())) == (now.place.start, now.place.end)
        return found if there and is_result(path_of(found[0].GetMediaPoolItem())) else None

    def _tag(self, now: Clip, placed: placing.Placed, work: Any, done: Dict[str, Any]) -> None:
        wish = work.wish
        tag = {
            "version": self.version,
            "job": done["job"],
            "recipe": done["recipe_digest"],
            "seed": wish.get("seed") or 0,
            "backdrop": str(wish.get("backdrop", ""))[:200],
            "preset": wish.get("preset") or "draft",
            "shot": self._folder,
        }
        note = "{backdrop}\nseed {seed}, {preset}\n{job}".format(**tag)
        above = placed.item.GetUniqueId() != now.id
        if above:
            self.problems += tags.set_tag(placed.item, dict(tag, of=now.id), note)
            tag["result"] = placed.item.GetUniqueId()
        elif now.tag and now.tag.get("result"):
            tag["result"] = now.tag["result"]
        self.problems += tags.set_tag(now.item, tag, note)

    def _after(self, done: Dict[str, Any]) -> Dict[str, Any]:
        """The frame of the result that shows what `before` shows of the plate."""
        shown = self.clip.shown
        middle = self.clip.duration // 2
        if shown is not None and not self._baked:
            middle = shown.first - self._span[0] + shown.sure // 2
        numbers = hostkit.frames.parse(done["frames"])
        number = numbers[min(middle, len(numbers) - 1)] if hostkit.has_counter(self.path) else middle
        return {"path": self.path, "frame": number}

    def _host(self) -> Dict[str, Any]:
        desk = self._desk
        return {
            "name": "resolve",
            "version": desk.resolve.GetVersionString(),
            "project": desk.project.GetName(),
            "timeline": desk.timeline.GetName(),
            "clip": self.clip.id,
            "clip_name": self.clip.name,
            "span": list(self._span),
            "baked": self._baked,
            "placement": self._placement,
        }

    def _change(self, state: str, **values: Any) -> None:
        self.state = state
        self._tell(state=state, **values)


class _Failing(object):
    """What goes wrong with one shot ends that shot, told in words, and no other."""

    def __init__(self, shot: Shot) -> None:
        self._shot = shot

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Optional[type], error: Optional[BaseException], trace: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if isinstance(error, (hostkit.Cancelled, baking.BakeCancelled)):
            self._shot.end_cancelled()
        elif isinstance(error, Refused):
            self._shot.fail(error.message, error.hint)
        elif isinstance(error, hostkit.CommandFailed):
            where = " ({})".format(error.where) if error.where else ""
            self._shot.fail(error.message + where, error.hint)
        else:
            self._shot.fail(hostkit.report.text_of(error))
        return True
