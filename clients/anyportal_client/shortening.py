"""The movies of a shot, shortened to the frames that are needed, where that changes nothing of the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from anyportal_client.clips import Clip, LocalFile
from anyportal_client.packets import WholeNeeded
from anyportal_client.shot import ReadyShot
from anyportal_client.spans import cut_span

Say = Callable[[str], None]


def shortened(ready: ReadyShot, folder: Path, say: Say, checkpoint: Callable[[], None] = lambda: None) -> ReadyShot:
    """The shot with parts of its plate and matte movies, written to a folder, in the place of what is whole.

    A matte movie goes by the plate's frames only where it has as many. `say` is told why a movie stays whole;
    `checkpoint` is called often, and may raise to stop.
    """
    # A movie of garbage goes by the frames of the whole plate.
    if ready.analysed is None or any(clip.kind == "movie" for clip in ready.guides.values()):
        return ready
    first, last = ready.analysed

    def short(clip: Clip, name: str) -> Clip:
        target = folder / f"{name}{clip.path.suffix}"
        try:
            span = cut_span(clip.files[0].path, first, last, target, checkpoint)
        except WholeNeeded as reason:
            if str(reason):
                say(f"{clip.path.name} is sent whole: {reason}")
            return clip
        return replace(clip, files=(LocalFile(target),), span=span, count=span.count)

    plate, matte = ready.plate, ready.matte
    if plate.kind == "movie" and plate.shared is None:
        plate = short(plate, "plate")
    if matte is not None and matte.kind == "movie" and matte.shared is None and plate.span is not None:
        cut = short(matte, "matte")
        matte = cut if cut.count == plate.count else matte
    return replace(ready, plate=plate, matte=matte)
