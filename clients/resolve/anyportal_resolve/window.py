"""The conversation with the window: what is seen, what is wished, what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from anyportal_resolve.batch import Batch
from anyportal_resolve.choosing import MARK, SCOPES, look
from anyportal_resolve.connection import desk, editions_note
from anyportal_resolve.offers import Offers
from anyportal_resolve.page import Page, as_seen
from anyportal_resolve.refusal import Refused
from anyportal_resolve.results import results_folder

if TYPE_CHECKING:
    from anyportal_resolve.clips import Clip
    from anyportal_resolve.connection import Desk
    from anyportal_resolve.host import Resolve

_TICK = 0.2
HANDLES = 12


class Window(object):
    """Opens the window and does what is wished, until nobody looks any more. All in the thread that calls.

    Args:
        folder: where results go; by default in the user's home, by project and timeline.
        show: open the page in the browser.
        on_event: called with each event of the window, for scripts that want to know the address.
    """

    def __init__(
        self,
        resolve: Resolve,
        folder: str = "",
        show: bool = True,
        on_event: Optional[Callable[[Dict[str, Any]], None]] = None,
    ) -> None:
        self._resolve, self._folder, self._on_event = resolve, folder, on_event
        self._page = Page(show)
        self._offers = Offers()
        self._desk: Optional[Desk] = None
        self._clips: Dict[str, Clip] = {}
        self._scope, self._mark = SCOPES[0], MARK
        self._handles, self._placement = HANDLES, "take"
        self._notices: List[Dict[str, Any]] = []
        self._wishes: List[Dict[str, Any]] = []
        self._cancelled = self._closing = False

    def close(self) -> None:
        """End it, once what is at work is done; from any thread."""
        self._closing = True

    def run(self) -> None:
        """Until the page is closed; what is at work then is done to its end first."""
        try:
            self._look()
            while (self._page.running or self._wishes) and not self._closing:
                self._hear(_TICK)
                while self._wishes:
                    self._fulfil(self._wishes.pop(0))
        finally:
            self._offers.close()
            self._page.close()

    def _hear(self, wait: float) -> None:
        """What the window says, and what it can offer."""
        for event in self._page.poll(wait):
            if self._on_event:
                self._on_event(event)
            if event["event"] == "wish":
                if event["action"] == "cancel":
                    self._cancelled = True
                else:
                    self._wishes.append(event)
        change = self._offers.hear()
        if change:
            self._page.say(change=dict(change, notices=self._offers.broken + self._notices))

    def _fulfil(self, wish: Dict[str, Any]) -> None:
        if wish["action"] == "look":
            asked = wish["request"]
            self._scope, self._mark = asked["scope"], asked["mark"] or MARK
            self._handles, self._placement = asked["handles"], asked["placement"]
            self._look()
        elif wish["action"] == "daemon":
            self._offers.choose(wish["request"]["daemon"])
            self._page.say(change=self._offers.seen())
        elif wish["action"] == "go":
            self._go(wish["request"])

    def _look(self) -> None:
        self._page.say(change={"looking": True, "scope": self._scope, "mark": self._mark})
        self._clips, said, empty = {}, [], ""
        try:
            self._desk = desk(self._resolve)
            seen = look(self._desk, self._scope, self._mark)
            self._clips = {clip.id: clip for clip in seen.clips}
            said = [{"message": note} for note in seen.notes]
        except Refused as refused:
            empty = str(refused)
        folder = self._folder or (results_folder(self._desk) if self._desk else "")
        note = editions_note(self._resolve)
        self._notices = ([{"message": note}] if note else []) + said
        self._page.say(change={
            "host": self._host(),
            "scope": self._scope,
            "mark": self._mark,
            "clips": [as_seen(clip, self._handles, self._placement, folder) for clip in self._clips.values()],
            "notices": self._offers.broken + self._notices,
            "empty": empty,
            "looking": False,
            "working": False,
            **self._offers.seen(),
        })  # fmt: skip

    def _go(self, request: Dict[str, Any]) -> None:
        clips = [self._clips[each] for each in request["clips"] if each in self._clips]
        if self._desk is None or not clips:
            return
        wish = {key: value for key, value in request.items() if key != "clips"}
        wish.setdefault("daemon", self._offers.daemon)
        handles, placement = int(wish.get("handles") or 0), wish.get("placement", "take")
        folder = self._folder or results_folder(self._desk)
        for clip in clips:
            self._page.say(
                clip=dict(as_seen(clip, handles, placement, folder), state="ready", inRun=True, fraction=0, after={})
            )
        self._page.say(change={"working": True})
        self._cancelled = False
        Batch(self._desk, clips, wish, folder, self._tell, self._asked).run()
        self._page.say(change={"working": False})
        self._read_again(clips)

    def _read_again(self, clips: List[Clip]) -> None:
        """What was placed is known to a second run."""
        if self._desk is None:
            return
        try:
            fresh = {clip.id: clip for clip in look(self._desk, "timeline").clips}
        except Refused:
            fresh = {}
        for clip in clips:
            if clip.id in fresh:
                self._clips[clip.id] = fresh[clip.id]

    def _tell(self, clip_id: str, values: Dict[str, Any]) -> None:
        self._page.say(clip=dict(values, id=clip_id))

    def _asked(self) -> bool:
        """Whether somebody at the page asked for the end; while something is at work this is where it is heard."""
        self._hear(0.0)
        return self._cancelled

    def _host(self) -> Dict[str, str]:
        found = self._desk
        return {
            "name": self._resolve.GetProductName(),
            "version": self._resolve.GetVersionString(),
            "project": found.project.GetName() if found else "",
            "timeline": found.timeline.GetName() if found else "",
        }
