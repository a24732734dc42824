"""What the stages of one shot work on: its media opened and checked, its frames chosen, results so far."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, cast

import numpy as np

from anyportal_core.errors import AnyPortalError, FrameRangeError, ShotError
from anyportal_core.frames import MOST_FRAMES, ArraySource, FrameSet, FrameSource, Image
from anyportal_core.media.clip import DEFAULT_RATE, Clip, ClipInfo, listed, open_clip
from anyportal_core.media.encoding import SRGB, Encoding, convert
from anyportal_core.media.framed import framed
from anyportal_core.media.spool import Spool
from anyportal_core.media.timecode import countable
from anyportal_core.media.wandering import Wandering
from anyportal_core.media.windows import Box, shrunk
from anyportal_core.media.work import AlphaFrames, WorkFrames, alpha_says_something, matte_numbers
from anyportal_core.recipe import Recipe
from anyportal_core.roles import RoleContext, Stored
from anyportal_core.roles.background import Backdrop, BackgroundPlugin
from anyportal_core.shot import MediaRef, MissingFrames, Shot
from anyportal_core.sizes import Limits, shown_aspect, work_size
from anyportal_core.stages.guides import Guides
from anyportal_core.stages.results import Result
from anyportal_core.stages.takes import Take, takes_between

CODE_VERSION = 5
"""Of how media are read: part of the digest that every stage's result is kept under."""

_LARGE = 2
"""Times the work size's pixels: a plate of more of them is decoded once for all stages, not by each."""

_MATTES = 1 << 28
"""Bytes of mattes at work size that are kept unpacked for the stages that read them."""

_NOTHING, _SHOWN = 1e-4, 0.5
"""Light above that, in more of the pixels whose alpha is 0 than that share: a picture; glows cover less."""

SMALLER: Final = 0.75
"""Where a plug-in's limits make pictures smaller than that share of what was asked for, it is said."""


class Material:
    """The opened media of one shot.

    Args:
        limits: what the sizes of pictures are limited to by the plug-ins that will see them.

    Raises (on construction):
        InputError: media that cannot be read, a range outside the plate, a matte of another size or length.
    """

    def __init__(self, shot: Shot, recipe: Recipe, limits: Iterable[Limits] = ()) -> None:
        self.shot = shot
        self.recipe = recipe
        self.results: dict[str, Result] = {}
        """By the stage's name."""
        self._clips: list[Clip] = []
        self.plate_clip = self._open(shot.plate, _asked(shot), shot.missing)
        self.deliver = _chosen(shot, self.info)
        self.numbers: Sequence[int] = _span(self.deliver, shot)
        self.plate_clip.describe_by(self.plate_clip.require(self.numbers))
        info = self.info
        self.rate = shot.plate.rate or info.rate or DEFAULT_RATE
        long_side = recipe.work.integer("long_side")
        self._asked = work_size(info.width, info.height, long_side, info.pixel_aspect)
        self.height, self.width = work_size(info.width, info.height, long_side, info.pixel_aspect, limits)
        large = info.width * info.height >= _LARGE * self.width * self.height
        self._spool = Spool((self.height, self.width, 3)) if large else None
        self._mattes = Spool((self.height, self.width), _MATTES)
        self.matte_clip = self._open_matte()
        self.mask_clip = framed(shot.mask, self._open_whole(shot.mask), info, "mask") if shot.mask else None
        self.guides = Guides(shot, self._open_whole, info, self.numbers, (self.height, self.width))
        self.backdrop_clip = self._open_backdrop()
        self.mask_index = self._mask_index()
        self.takes: Sequence[Take] = takes_between([], self.count)
        """One, until cuts are found."""

    @property
    def info(self) -> ClipInfo:
        """What is known about the plate."""
        return self.plate_clip.info

    @property
    def count(self) -> int:
        """Frames that are analysed: those within the shot, delivered or not."""
        return len(self.numbers)

    @property
    def aspect(self) -> float:
        """Width over height of the plate, as it is shown."""
        return _aspect(self.info)

    def close(self) -> None:
        for result in self.results.values():
            result.close()
        for clip in self._clips:
            clip.close()
        self._mattes.close()
        if self._spool:
            self._spool.close()

    def inputs(self) -> list[Path]:
        """All files that the shot is made from."""
        return [path for clip in self._clips for path in clip.paths()]

    def digests(self) -> dict[str, str]:
        """What identifies each medium, how it is read, and the frames taken of it."""
        clips = {
            "plate": (self.shot.plate, self.plate_clip),
            "matte": (self.shot.matte, self.matte_clip),
            "mask": (self.shot.mask, self.mask_clip),
            "backdrop": (self.shot.backdrop, self.backdrop_clip),
        }
        found = {
            name: f"{self._content(name, clip)} {ref.rate or clip.info.rate} {_assumed(ref, clip)}"
            for name, (ref, clip) in clips.items()
            if ref is not None and clip is not None
        }
        found["plate"] += f" {FrameSet(tuple(self.numbers))}"
        if "mask" in found:
            found["mask"] += f" {self.mask_index}"
        if guides := self.guides.digest():
            found["guides"] = guides
        if self.backdrop_clip is None:
            found["backdrop"] = self.recipe.backdrop.value
        return found

    def _content(self, name: str, clip: Clip) -> str:
        """What identifies a medium's frames that are used: the same for a part of a plate as for all of it."""
        if name == "plate":
            return clip.content(self.numbers)
        if name == "matte":
            return clip.content(matte_numbers(clip.info, self.info, self.numbers))
        return clip.digest()

    def remarks(self) -> Iterator[str]:
        """What the user should know about the media before anything is made of them."""
        info = self.info
        if info.kind == "movie" and info.rate is None:
            yield f"{info.path.name} states no frame rate: {self.rate} frames a second are assumed"
        if info.variable_rate:
            yield (
                f"{info.path.name} has a variable frame rate: its frames are kept in order and shown evenly at "
                f"{float(self.rate):.3f} frames a second, so some move in time; sound may drift from them"
            )
        if info.timecode and not countable(info.timecode, self.rate):
            yield (
                f"{info.path.name} begins at {info.timecode}, a drop frame timecode, which cannot be counted at "
                f"{float(self.rate):.3f} frames a second: results do not carry it"
            )
        yield from _filled(info, self.numbers)
        if self.matte_clip is not None:
            yield from _filled(self.matte_clip.info, matte_numbers(self.matte_clip.info, info, self.numbers))
        if self.height < SMALLER * self._asked[0] and self.width < SMALLER * self._asked[1]:
            asked = f"{self._asked[1]}x{self._asked[0]}"
            yield f"models see {self.width}x{self.height}, not {asked}: one of them was made for no more pixels"
        for clip in self._clips:
            if clip.info.layer:
                yield f"{clip.info.path.name} holds several pictures: its layer {clip.info.layer} is taken"
        hinted = self.matte_clip is not None or self.mask_clip is not None
        chosen = self.recipe.roles["matte"].plugin
        unused = info.has_alpha and not hinted and chosen != "draft.supplied"
        if unused and alpha_says_something(self.plate_clip, self.numbers[0]):
            yield f"{info.path.name} has an alpha channel, which {chosen} does not use: --matte alpha takes it"

    def plate(self) -> FrameSource:
        """The plate at work size."""
        return WorkFrames(self.plate_clip, self.numbers, (self.height, self.width), self._spool)

    def take(self, index: int) -> Take:
        """The take that a frame is of."""
        return next(take for take in self.takes if index < take.stop)

    def thumbnails(self, size: tuple[int, int]) -> FrameSource:
        """The plate as small as that; at work size where its frames are kept for all who read them."""
        return self.plate() if self._spool else WorkFrames(self.plate_clip, self.numbers, size)

    def supplied_matte(self) -> AlphaFrames | None:
        """The supplied matte ``(T, H, W, 1)`` at work size: the one given, else the plate's own alpha channel."""
        own = self.matte_clip is None
        if own and not self.info.has_alpha:
            return None
        clip = self.matte_clip or self.plate_clip
        return AlphaFrames(clip, self.info, self.numbers, (self.height, self.width), own)

    @cached_property
    def colours(self) -> Literal["photographed", "premultiplied", "straight"]:
        """How the plate's colours stand to its matte: as its file declares, where its own alpha is the matte.

        Many an EXR is a photograph with an alpha added, whatever the standard says: it shows a picture where its
        alpha is 0. That is asked of the first frame, for the whole shot.
        """
        own = self.matte_clip is None and self.recipe.roles["matte"].plugin == "draft.supplied"
        if not own or self.info.alpha_straight is None:
            return "photographed"
        if self.info.alpha_straight:
            return "straight"
        frame = next(self.plate_clip.frames([self.numbers[0]], alpha=True))
        outside = frame.pixels[frame.alpha == 0] if frame.alpha is not None else frame.pixels[:0, 0]
        shown = np.mean(np.abs(outside).max(axis=-1) > _NOTHING) if len(outside) else 0
        return "photographed" if shown > _SHOWN else "premultiplied"

    def full_matte(self) -> Iterator[Image | None]:
        """The supplied matte ``(H, W)`` at the plate's size for each delivered frame in order; or None for each."""
        matte = self.supplied_matte()
        if matte is None:
            yield from itertools.repeat(None)
        else:
            first = self.numbers[0]
            yield from matte.full(number - first for number in self.deliver)

    def mask(self) -> Image | None:
        """The supplied mask ``(H, W)`` at work size."""
        if self.mask_clip is None:
            return None
        info = self.mask_clip.info
        if len(info.numbers) != 1:
            raise ShotError("a mask is one picture", where=str(info.path), hint="give a clip as --matte")
        frame = [self.numbers[self.mask_index]]
        source = AlphaFrames(self.mask_clip, self.info, frame, (self.height, self.width))
        return source.read(0, 1)[0, ..., 0]

    def matte(self) -> FrameSource:
        """The matte stage's alpha ``(T, H, W, 1)`` at work size; 0 where a frame of the plate has no pixels."""
        size = self.height, self.width
        return _StoredAlpha(self.results["matte"], self.numbers, size, self._extent, self._mattes)

    def _extent(self, index: int) -> Box | None:
        """Where a frame of the plate has pixels, at work size; None: everywhere."""
        found = self.plate_clip.extent(self.numbers[index])
        size = self.info.height, self.info.width
        return None if found is None else shrunk(found, size, (self.height, self.width))

    def clean_plate(self) -> FrameSource:
        """The plate without its foreground where a stage made it, else the plate; at work size."""
        made = self.results.get("clean_plate")
        return StoredPictures(made, self.numbers, self.height, self.width) if made else self.plate()

    def background_frame(self, index: int) -> Stored:
        """What was stored for a frame of the background."""
        return self.results.get("clean_background", self.results["background"]).frame(index)

    def background(self, plugin: BackgroundPlugin, context: RoleContext) -> FrameSource:
        """The background at work size, rendered from the background stage's result."""
        return _RenderedBackground(self, plugin, context)

    def backdrop(self) -> Backdrop:
        """The backdrop as plug-ins see it."""
        choice = self.recipe.backdrop
        if choice.kind == "prompt":
            return Backdrop("prompt", prompt=choice.value)
        if choice.kind == "colour":
            return Backdrop("colour", frames=_flat(choice.value, self.height, self.width), aspect=self.aspect)
        clip = cast(Clip, self.backdrop_clip)
        rate = float(clip.info.rate or 0) if choice.kind == "clip" else 0.0
        info = clip.info
        size = work_size(info.width, info.height, 2 * max(self.height, self.width), info.pixel_aspect)
        frames = WorkFrames(clip, info.numbers, size)
        return Backdrop(choice.kind, frames=frames, rate=rate, aspect=_aspect(info))

    def backdrop_reader(self, encoding: Encoding, long_side: int) -> BackdropReader:
        """The backdrop's pictures in any encoding, no larger than ``long_side``."""
        return BackdropReader(self, encoding, long_side)

    def _open(self, ref: MediaRef, asked: Sequence[int] = (), missing: MissingFrames = "error") -> Clip:
        clip = open_clip(replace(ref, colour_config=self.shot.colour_config), missing, asked)
        self._clips.append(clip)
        return clip

    def _open_whole(self, ref: MediaRef) -> Clip:
        clip = self._open(ref)
        clip.describe_by(clip.info.numbers)
        return clip

    def _open_matte(self) -> Clip | None:
        shot, there = self.shot, self.info.numbers
        if shot.matte is None:
            return None
        clip = self._open(shot.matte, missing=shot.missing)
        have = clip.info.numbers
        if shot.missing != "error" and clip.info.kind == "sequence" and there[0] <= have[0] <= have[-1] <= there[-1]:
            # It goes by the plate's numbers, so what it lacks at its ends is missing, too.
            clip = self._open(shot.matte, (there[0], there[-1]), shot.missing)
        clip.describe_by(sorted(set(matte_numbers(clip.info, self.info, self.numbers))))
        return framed(shot.matte, clip, self.info, "matte")

    def _open_backdrop(self) -> Clip | None:
        kind = self.recipe.backdrop.kind
        if kind not in ("still", "clip"):
            return None
        if self.shot.backdrop is None:
            raise ShotError("the recipe's backdrop is a picture, and the shot brings none", where="shot.backdrop")
        try:
            return self._open_whole(self.shot.backdrop)
        except AnyPortalError as error:
            error.where = "shot.backdrop.colour_space" if error.where == "colour_space" else error.where
            raise

    def _mask_index(self) -> int:
        """The index of the frame that the mask belongs to: by default the first one asked for, not a handle.

        Of a shot within others, it is the first of those: the mask is that of the whole shot.
        """
        shot = self.shot
        first = shot.frames.first if shot.frames and not shot.within else self.numbers[0]
        number = first if shot.mask_frame is None else shot.mask_frame
        if not self.numbers[0] <= number <= self.numbers[-1]:
            raise FrameRangeError(
                f"frame {number} is outside {self.numbers[0]}-{self.numbers[-1]}",
                where="shot.mask_frame",
                hint="give a frame of the range that is processed",
            )
        return number - self.numbers[0]


class BackdropReader:
    """Pictures of a still, clip or colour by index; cheap where it stays, rises by a little, or falls by one."""

    def __init__(self, material: Material, encoding: Encoding, long_side: int) -> None:
        self._flat: Image | None = None
        self._pictures: Wandering | None = None
        clip = material.backdrop_clip
        if clip is not None:
            own = clip.info.encoding
            size = _limited(clip.info, long_side)
            self._pictures = Wandering(clip, size, lambda frame: convert(frame.pixels, own, encoding))
        elif material.recipe.backdrop.kind == "colour":
            colour = _flat(material.recipe.backdrop.value, 16, 16).read(0, 1)[0]
            self._flat = convert(colour, SRGB, encoding)

    def read(self, index: int) -> Image:
        """Picture ``index`` ``(h, w, 3)``."""
        if self._pictures is None:
            return cast(Image, self._flat)
        return self._pictures.read(index)


class _StoredAlpha:
    def __init__(
        self,
        result: Result,
        numbers: Sequence[int],
        size: tuple[int, int],
        extent: Callable[[int], Box | None],
        spool: Spool,
    ) -> None:
        self._result, self.numbers, self._extent, self._spool = result, numbers, extent, spool
        self.height, self.width = size

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, start: int, stop: int) -> Image:
        indices = range(start, min(stop, len(self)))
        alpha = np.empty((len(indices), self.height, self.width, 1), np.float32)
        for place, index in enumerate(indices):
            if not self._spool.fill(index, alpha[place]):
                alpha[place, ..., 0] = self._there(index)
                self._spool.keep(index, alpha[place])
        return alpha

    def _there(self, index: int) -> Image:
        alpha, box = cast(Image, self._result.read("alpha", index, index + 1)[0]), self._extent(index)
        if box is None:
            return alpha
        there = np.zeros_like(alpha)
        there[box] = alpha[box]
        return there


class StoredPictures:
    """The ``frames`` that a stage stored."""

    def __init__(self, result: Result, numbers: Sequence[int], height: int, width: int) -> None:
        self._result, self.numbers, self.height, self.width = result, numbers, height, width

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, start: int, stop: int) -> Image:
        return cast(Image, self._result.read("frames", start, stop))


class _RenderedBackground:
    def __init__(self, material: Material, plugin: BackgroundPlugin, context: RoleContext) -> None:
        self.numbers, self.height, self.width = material.numbers, material.height, material.width
        self._stored = material.background_frame
        self._plugin, self._context = plugin, context
        self._reader = material.backdrop_reader(SRGB, 2 * max(self.height, self.width))

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, start: int, stop: int) -> Image:
        return np.stack([self._frame(index) for index in range(start, stop)])

    def _frame(self, index: int) -> Image:
        stored = self._stored(index)
        picture = self._reader.read(int(stored["backdrop_index"])) if "backdrop_index" in stored else None
        image = self._plugin.render(stored, picture, self.height, self.width, self._context)
        return np.clip(image, 0, 1)


def _chosen(shot: Shot, info: ClipInfo) -> FrameSet:
    """The frames to deliver: the range with its handles, as far as the plate has them, within what is analysed."""
    first, last = info.numbers[0], info.numbers[-1]
    inside, where = f"the clip {info.path.name}", str(info.path)
    if shot.within is not None:
        _check_inside(shot.within, first, last, inside, "shot.within")
        first, last = shot.within.first, shot.within.last
        _check_length(first, last)
        inside, where = "what is analysed (within)", "shot.frames"
    if shot.frames is None:
        _check_length(first, last)
        return FrameSet(tuple(number for number in info.numbers if first <= number <= last))
    _check_inside(shot.frames, first, last, inside, where)
    _check_length(max(shot.frames.first - shot.handles, first), min(shot.frames.last + shot.handles, last))
    wanted: set[int] = set()
    for start, stop in shot.frames.runs():
        wanted.update(range(max(start - shot.handles, first), min(stop + shot.handles, last) + 1))
    return FrameSet(tuple(sorted(wanted)))


def _check_inside(frames: FrameSet, first: int, last: int, inside: str, where: str) -> None:
    if frames.first < first or frames.last > last:
        raise FrameRangeError(
            f"the range {frames} is not inside {inside}", where=where, hint=f"choose frames of {first}-{last}"
        )


def _check_length(first: int, last: int) -> None:
    """Raises FrameRangeError before frames are listed that would fill the memory."""
    if last - first >= MOST_FRAMES:
        raise FrameRangeError(
            f"{last - first + 1} frames from {first} to {last}: {MOST_FRAMES} are the most",
            where="shot.frames",
            hint="give a range; a single file with a number far from all others stretches a sequence",
        )


def _span(deliver: FrameSet, shot: Shot) -> Sequence[int]:
    """Every frame from the first to the last that is analysed: what is not delivered is context."""
    around = shot.within or deliver
    return range(around.first, around.last + 1)


def _asked(shot: Shot) -> list[int]:
    """The ends of what is asked for by number: files may be missing there, too."""
    return [number for frames in (shot.frames, shot.within) if frames for number in (frames.first, frames.last)]


def _filled(info: ClipInfo, numbers: Iterable[int]) -> Iterator[str]:
    """A remark on the frames among those used that are not there."""
    lacking = [number for number in sorted(set(numbers)) if number in info.filled]
    if lacking:
        how = "black" if info.black else "the nearest frame before, else after it"
        many = len(lacking) > 1
        yield (
            f"{info.path.name} lacks frame{'s' if many else ''} {listed(lacking)}: "
            f"{how} stands in for {'each' if many else 'it'}"
        )


def _assumed(ref: MediaRef, clip: Clip) -> str:
    """What the pixels are said to mean, where that is not left to the file: not by name, which may mean many things."""
    encoding = clip.info.encoding
    return f"{encoding.transfer} {encoding.primaries}" if ref.colour_space else ""


def _limited(info: ClipInfo, long_side: int) -> tuple[int, int]:
    """A size of the clip's shape with a long side of at most ``long_side``."""
    scale = min(1.0, long_side / max(info.width, info.height))
    return max(1, math.ceil(info.height * scale)), max(1, math.ceil(info.width * scale))


def _aspect(info: ClipInfo) -> float:
    return shown_aspect(info.width, info.height, info.pixel_aspect)


def _flat(colour: str, height: int, width: int) -> FrameSource:
    """One picture of a single colour ``#rrggbb``."""
    rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return ArraySource(np.broadcast_to(np.asarray(rgb, np.float32), (1, height, width, 3)))
