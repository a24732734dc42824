"""What a person asks for: one shot, a backdrop, settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from anyportal_client.errors import MediaError, RecipeError

IMAGE_ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        "exr", "png", "tif", "tiff", "dpx", "cin", "jpg", "jpeg", "tga", "bmp", "hdr", "sgi", "webp", "jp2",
        "j2k", "psd", "gif", "avif", "heic",
    )
)  # fmt: skip
MOVIE_ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        "mov", "mp4", "m4v", "mkv", "avi", "mxf", "webm", "mpg", "mpeg", "ts", "mts", "m2ts", "ogv", "wmv",
        "y4m", "flv", "3gp",
    )
)  # fmt: skip

OWN_ALPHA = "alpha"
"""In place of a matte's path: the plate's own alpha channel."""

_SUPPLIED = "draft.supplied"

_SURROGATE = re.compile("[\ud800-\udfff]")
_FASTEST = 1000
_LARGEST = sys.float_info.max
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_ALMOST_A_COLOUR = re.compile(r"#\S*")


@dataclass(frozen=True)
class ShotRequest:
    """One shot and what is to be done to it.

    Args:
        plate: a movie, a still, or a sequence: a folder, `plate.%04d.exr`, `plate.####.exr`, `plate.1001-1100#.exr`.
            `plate.1001.exr` is frame 1001, a still without such a number is frame 0.
        backdrop: the new surroundings: a path of a still or clip, `#rrggbb`, or a text.
        matte: the foreground's alpha as a clip, or `alpha` for the plate's own alpha channel (where no file is called
            so); found by the preset where it is absent.
        mask: the foreground on one frame (a still), to be carried through the shot.
        mask_frame: the plate frame that `mask` belongs to; None means the first of the range.
        corrections: more masks (stills), each by the plate frame that it belongs to; felt before and after it.
        clean_plate: the place without its foreground: a still, or a clip on the plate's frames.
        garbage: white where no foreground is, whatever it looks like; likewise.
        holdout: white where foreground is, whatever it looks like; likewise.
        frames: frames to deliver in the plate's own numbers, such as `1001-1100` or `1005,1009-1010`; empty means
            all. A movie's count from 0.
        handles: extra frames delivered on both sides, as far as the plate has them.
        settings: by role (`{"matte": {"plugin": "draft.key"}}`), dotted (`{"matte.plugin": "draft.key"}`), or by a
            setting's own name where only one role has it. A number may be a table `{"1001": 0.2, "1040": 1}`.
        layers: of comp, foreground, background, matte, gain, clean_plate, shadow, wrap.
        format: auto, mp4, h265, prores, prores4444, dnxhr, png, tiff or exr.
        compression: of EXR files: zip, piz, none, or dwab, which is lossy.
        out_colour_space: of the results, by its name in the colour configuration; empty: the plate's own, in EXR the
            scene-linear one that belongs to it.
        name: names the results; the plate's name where it is empty.
        labels: kept with the job and given back, for pipelines to find it by.
        frame_rate: of a sequence; overrides a movie's own.
        colour_space: the plate's, instead of what its files say.
        backdrop_colour_space: the backdrop's, likewise.
        colour_config: an OpenColorIO configuration, which says what names of colour spaces mean: a path (.ocio,
            .ocioz), or the name of a built-in one. Empty: `$OCIO` where it is set and a name is used, else the built-in
            ACES studio configuration.
        within: the frames that are analysed, in the form of `frames`, which lie inside. A shot's frames that are
            rendered again within the same ones are those of the whole shot. Empty: from the first to the last
            delivered.
        missing: what stands in for frames that the plate's sequence lacks: error, hold (the nearest one before) or
            black.
        priority: jobs of a greater one run first, -100 to 100.
    """

    plate: Path | str
    backdrop: str
    matte: Path | str | None = None
    mask: Path | str | None = None
    mask_frame: int | None = None
    corrections: Mapping[int, Path | str] = field(default_factory=dict)
    clean_plate: Path | str | None = None
    garbage: Path | str | None = None
    holdout: Path | str | None = None
    preset: str = "draft"
    subject: str = ""
    frames: str = ""
    handles: int = 0
    seed: int = 0
    settings: Mapping[str, object] = field(default_factory=dict)
    layers: tuple[str, ...] = ("comp",)
    format: str = "auto"
    compression: str = "zip"
    out_colour_space: str = ""
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    frame_rate: Fraction | None = None
    colour_space: str = ""
    backdrop_colour_space: str = ""
    colour_config: Path | str = ""
    within: str = ""
    missing: str = "error"
    priority: int = 0

    @property
    def names_colours(self) -> bool:
        """Whether anything in it is a name that a colour configuration explains."""
        return bool(self.colour_space or self.backdrop_colour_space or self.out_colour_space or self.colour_config)


def with_own_alpha(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings that take the plate's own alpha channel as matte, unless they choose another plug-in for it.

    The plug-in for mattes that are supplied takes it where the shot brings no matte.
    """
    section = settings.get("matte")
    chosen = "matte.plugin" in settings or (isinstance(section, Mapping) and "plugin" in section)
    return dict(settings) if chosen else {**settings, "matte.plugin": _SUPPLIED}


def is_utf8(text: str) -> bool:
    """Whether a text can be sent. Bytes of the command line and of file names that are none come as lone surrogates."""
    return not _SURROGATE.search(text)


def sendable_name(name: str) -> str:
    """A file's name as it can be sent, where the disk's is no UTF-8."""
    return _SURROGATE.sub("_", name)


def unsendable(settings: Mapping[Any, Any], prefix: str = "") -> str:
    """The dotted name of the first setting that is no number, text, truth or table of those; empty where all are."""
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if odd := unsendable(value, f"{name}."):
                return odd
        elif isinstance(value, (int, float)):
            if not -_LARGEST <= value <= _LARGEST:  # nor is NaN
                return name
        elif not isinstance(value, str):
            return name
    return ""


def plausible_rate(rate: Fraction) -> bool:
    """Whether a frame rate can be sent: at most 1000 frames per second, in numbers that media files hold."""
    return 0 < rate <= _FASTEST and max(rate.numerator, rate.denominator) < 2**31


def split_layers(text: str) -> tuple[str, ...]:
    """The names in a list such as `comp, matte`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True)
class Backdrop:
    """A backdrop, understood: `value` is the text, `#rrggbb`, or the path."""

    kind: Literal["prompt", "colour", "media"]
    value: str


def read_backdrop(text: str) -> Backdrop:
    """Tell apart what people write for a backdrop.

    What looks like a path and is none is an error: a misspelled file must not become a prompt.

    Raises:
        MediaError: a path where nothing lies.
        RecipeError: an empty text, or a colour of another form than `#rrggbb`.
    """
    if not text.strip():
        raise RecipeError("the backdrop is empty", where="backdrop", hint="give a picture, a clip, #rrggbb or a text")
    if _COLOUR.fullmatch(text):
        return Backdrop("colour", text.lower())
    if looks_like_a_path(text):
        return Backdrop("media", text)
    if _ALMOST_A_COLOUR.fullmatch(text):
        raise RecipeError(f"'{text}' is no colour", where="backdrop", hint="write it as #rrggbb")
    return Backdrop("prompt", text)


def looks_like_a_path(text: str) -> bool:
    """Whether a text means a file: one is there, it has a slash, or a media ending."""
    path = Path(text)
    try:
        if path.exists():
            return True
    except OSError:  # longer than a path may be: a prompt
        return False
    return path.suffix.lower() in IMAGE_ENDINGS | MOVIE_ENDINGS or "/" in text or "\\" in text


@dataclass(frozen=True)
class FrameNumbers:
    """Runs of frame numbers `(first, last)`, ends included, ascending, not touching."""

    runs: tuple[tuple[int, int], ...]

    @property
    def first(self) -> int:
        return self.runs[0][0]

    @property
    def last(self) -> int:
        return self.runs[-1][1]

    def __str__(self) -> str:
        return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in self.runs)

    @classmethod
    def parse(cls, text: str) -> FrameNumbers:
        """Read `A`, `A-B` and comma-joined lists of them.

        Raises:
            MediaError: FRAME_RANGE, for a malformed text or a range that runs backwards.
        """
        found = [_run(part, text) for part in text.replace(" ", "").split(",")]
        runs: list[tuple[int, int]] = []
        for first, last in sorted(found):
            if runs and first <= runs[-1][1] + 1:
                runs[-1] = (runs[-1][0], max(runs[-1][1], last))
            else:
                runs.append((first, last))
        return cls(tuple(runs))

    @classmethod
    def of(cls, numbers: list[int]) -> FrameNumbers:
        """The runs of some frame numbers."""
        return cls.parse(",".join(map(str, numbers)))


_RUN = re.compile(r"(-?\d+)(?:-(-?\d+))?")


def _run(part: str, text: str) -> tuple[int, int]:
    match = _RUN.fullmatch(part)
    if not match:
        raise MediaError(
            f"'{part}' is no frame range",
            code="FRAME_RANGE",
            where=text,
            hint="write ranges as 1001-1100 or 1005,1009-1010",
        )
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise MediaError(
            f"the range {part} runs backwards", code="FRAME_RANGE", where=text, hint=f"write {last}-{first}"
        )
    return first, last
