"""Give clips of a Resolve timeline a new background, and put the results where the clips are.

Standard library and Resolve's own objects alone, syntax that Python 3.7 reads: the work is done by the command
`anyportal` (anyportal_hostkit). What Resolve answers is checked wherever it is known to answer wrongly.

    from anyportal_resolve import connect, process
    process(connect(), {"backdrop": "beach.jpg"}, scope="marked")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

import anyportal_hostkit as hostkit

from anyportal_resolve.batch import Batch
from anyportal_resolve.choosing import MARK, look
from anyportal_resolve.connection import connect, desk
from anyportal_resolve.doctor import doctor
from anyportal_resolve.refusal import Refused
from anyportal_resolve.results import results_folder
from anyportal_resolve.shots import Shot
from anyportal_resolve.window import HANDLES, Window

if TYPE_CHECKING:
    from anyportal_resolve.host import Resolve

__all__ = ["HANDLES", "MARK", "Refused", "Shot", "Window", "connect", "doctor", "look", "main", "process"]


def process(
    resolve: Resolve,
    wish: Dict[str, Any],
    scope: str = "current",
    mark: str = MARK,
    folder: str = "",
    tell: Optional[Callable[[str, Dict[str, Any]], None]] = None,
    cancelled: Optional[Callable[[], bool]] = None,
) -> List[Shot]:
    """Process clips and wait, without a window.

    Args:
        wish: `backdrop`, and what else a Shot takes: `placement` (`take` or `track`), `handles`, `preset`, `seed`, ...
        scope, mark: which clips; see `look`.
        folder: where results go; by default in the user's home, by project and timeline.
        tell: called with a clip's id and what changes.
        cancelled: asked several times a second; once it says true, what has not ended is cancelled.

    Returns:
        The shots, with what came of each: one that failed stops no other.

    Raises:
        Refused: there is no clip, no project, or no answer.
    """
    at = desk(resolve)
    clips = look(at, scope, mark).clips
    wish = dict({"handles": HANDLES}, **wish)
    batch = Batch(at, clips, wish, folder or results_folder(at), tell or _say_nothing, cancelled or _never)
    return batch.run()


def main(resolve: Any = None, app: Any = None) -> None:
    """The menu entry: the window, until it is closed."""
    try:
        Window(connect(resolve, app), on_event=_print_address).run()
    except (Refused, hostkit.CommandFailed, hostkit.CommandNotFound) as error:
        print("AnyPortal: {}".format(error if isinstance(error, Refused) else hostkit.report.text_of(error)))


def _print_address(event: Dict[str, Any]) -> None:
    if event["event"] == "window":
        print("AnyPortal: the window is open in your browser. If it is not, open {}".format(event["url"]))


def _say_nothing(clip_id: str, values: Dict[str, Any]) -> None:
    pass


def _never() -> bool:
    return False
