"""A shot: a frame range of a plate, and what is given along with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from anyportal_core.errors import ShotError, unknown_name
from anyportal_core.frames import FrameSet

MissingFrames = Literal["error", "hold", "black"]
"""What stands in for a frame that a sequence lacks: nothing, the nearest one before it, or black."""

MISSING_FRAMES: tuple[MissingFrames, ...] = get_args(MissingFrames)


@dataclass(frozen=True)
class Span:
    """Part of a movie, cut out without encoding it anew, in the place of the whole.

    Args:
        first: the whole movie's number of the first frame that is there.
        count: frames of the whole movie.
        rate: the whole movie's frames a second.
        timecode: of the whole movie's first frame; empty where it has none.
    """

    first: int
    count: int
    rate: Fraction
    timecode: str = ""


@dataclass(frozen=True)
class MediaRef:
    """Where the frames of a clip lie.

    Args:
        path: a movie, a still, or a sequence in any notation fileseq reads (``plate.%04d.exr``,
            ``plate.####.exr``, ``plate.1001-1100#.exr``) or a folder that holds exactly one sequence.
        rate: frames per second; stated for sequences, overrides a movie's own.
        colour_space: the colour space to assume instead of what the file says, e.g. ``Linear Rec.709``.
        digest: SHA-256 over the content, where it is known already; else it is computed when needed.
        digests: SHA-256 of files, by name, as far as they are known already.
        span: where the path is a part of a movie: numbers, rate and timecode are then the whole movie's.
        colour_config: the configuration that knows the colour space, as in ``Shot``, whose own goes before this.
    """

    path: Path
    rate: Fraction | None = None
    colour_space: str = ""
    digest: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    span: Span | None = None
    colour_config: str = ""


@dataclass(frozen=True)
class Shot:
    """What the user hands over for one shot.

    Args:
        plate: the source footage.
        frames: the frames to deliver, in the plate's own numbers; None means all. Movies count from 0.
        handles: extra frames delivered on both sides, as far as the plate has them.
        matte: the foreground's alpha as a clip of the plate's size, on the plate's frame numbers
            (or of the same length as the plate, or as the range).
        mask: the foreground on one frame, to be carried through the shot.
        mask_frame: the plate frame that ``mask`` belongs to; None means the first of ``frames``.
        corrections: more masks, each by the plate frame that it belongs to: white is foreground, black is not; where
            much of one is mid-grey, it is strokes, and grey is undecided.
        clean_plate: a picture or clip of the place without its foreground.
        garbage: a picture or clip, white where no foreground is, whatever it looks like.
        holdout: a picture or clip, white where foreground is, whatever it looks like.
        backdrop: the still or clip that the recipe's backdrop names by digest.
        within: the frames that are analysed, from the first of them to the last; None means from the first to the last
            delivered one. Frames of a shot that is rendered again ``within`` the same are those of the whole shot.
        missing: what stands in for frames that a sequence lacks.
        colour_config: the OpenColorIO configuration that names colour spaces: a built-in one's name, or a path; empty
            means the built-in ACES studio configuration.
        name: names the results; defaults to the plate's file name.
    """

    plate: MediaRef
    frames: FrameSet | None = None
    handles: int = 0
    matte: MediaRef | None = None
    mask: MediaRef | None = None
    mask_frame: int | None = None
    corrections: Mapping[int, MediaRef] = field(default_factory=dict)
    clean_plate: MediaRef | None = None
    garbage: MediaRef | None = None
    holdout: MediaRef | None = None
    backdrop: MediaRef | None = None
    within: FrameSet | None = None
    missing: MissingFrames = "error"
    colour_config: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if re.search(r"[/\\\x00]", self.name) or self.name in (".", ".."):
            raise ShotError(
                f"'{self.name}' cannot name results", where="shot.name", hint="give a file name without / and \\"
            )
        if self.missing not in MISSING_FRAMES:
            raise unknown_name("policy", self.missing, MISSING_FRAMES, where="shot.missing")
        if self.handles < 0:
            raise ShotError(f"handles are {self.handles}", where="shot.handles", hint="give 0 or more")
