"""Several clips: a few at a time, each on its own; one that fails stops no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Sequence

from anyportal_resolve.shots import Shot

if TYPE_CHECKING:
    from anyportal_resolve.clips import Clip
    from anyportal_resolve.connection import Desk

AT_ONCE = 3
"""Clips that the command works on: the daemon has a queue of its own, but each is a process here."""
_TICK = 0.1

Tell = Callable[[str, Dict[str, Any]], None]
Cancelled = Callable[[], bool]


class Batch(object):
    """The clips of one wish.

    Resolve's objects are used in the caller's thread alone. While Resolve renders a clip, those before it go on.

    Args:
        wish: as for a Shot.
        tell: called with a clip's id and what changes.
        cancelled: asked several times a second.
    """

    def __init__(
        self, desk: Desk, clips: Sequence[Clip], wish: Dict[str, Any], folder: str, tell: Tell, cancelled: Cancelled
    ) -> None:
        def teller(clip: Clip) -> Callable[..., None]:
            return lambda **values: tell(clip.id, values)

        self.shots = [Shot(desk, clip, wish, folder, teller(clip)) for clip in clips]
        self._cancelled = cancelled
        self._ending = self._told = False

    def run(self) -> List[Shot]:
        """All of them, until each has ended; gives them back, with what came of them."""
        while True:
            busy = [shot for shot in self.shots if shot.at_work]
            waiting = [shot for shot in self.shots if shot.state == "ready"]
            if not busy and not waiting:
                return self.shots
            self._look_for_the_end()
            if waiting and len(busy) < AT_ONCE and not self._ending:
                waiting[0].start(self._asked)
            for shot in busy:
                shot.step(_TICK / len(busy))

    def _asked(self) -> bool:
        self._ending = self._ending or self._cancelled()
        return self._ending

    def _look_for_the_end(self) -> None:
        if self._asked() and not self._told:
            self._told = True
            for shot in self.shots:
                shot.cancel()
