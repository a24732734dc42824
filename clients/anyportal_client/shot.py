"""A request made ready to send: its media found and checked, and only the frames that are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal_client.clips import Clip, as_numbered, check_files, find_clip
from anyportal_client.colours import ColourConfig, find_colours
from anyportal_client.errors import MediaError, RecipeError, UsageError
from anyportal_client.request import (
    OWN_ALPHA,
    Backdrop,
    FrameNumbers,
    ShotRequest,
    is_utf8,
    looks_like_a_path,
    plausible_rate,
    read_backdrop,
    unsendable,
    with_own_alpha,
)

_CORRECTION = "correction_"


@dataclass(frozen=True)
class ReadyShot:
    """A request with its media.

    Args:
        analysed: first and last frame that the daemon looks at; None: all that the plate has.
        guides: what else helps the matte: `clean_plate`, `garbage`, `holdout`, and a `correction_N` of each frame N.
    """

    request: ShotRequest
    frames: FrameNumbers | None
    analysed: tuple[int, int] | None
    plate: Clip
    matte: Clip | None
    mask: Clip | None
    backdrop: Backdrop
    backdrop_clip: Clip | None
    colours: ColourConfig
    guides: Mapping[str, Clip] = field(default_factory=dict)

    def clips(self) -> Iterator[Clip]:
        """Everything it is made from."""
        yield from (clip for clip in (self.plate, self.matte, self.mask, self.backdrop_clip) if clip is not None)
        yield from self.guides.values()

    def paths(self) -> Iterator[Path]:
        """Every file that the daemon needs."""
        for clip in self.clips():
            yield from (file.path for file in clip.files)
        yield from self.colours.paths()

    def sent_paths(self) -> Iterator[Path]:
        """Those files that it cannot reach by itself."""
        for clip in self.clips():
            if clip.shared is None:
                yield from (file.path for file in clip.files)
        yield from self.colours.paths()

    def folders(self) -> dict[str, Path]:
        """Where the files of each role lie; the daemon calls them `plate/NAME`, `matte/NAME` and so on."""
        clips = {"plate": self.plate, "matte": self.matte, "mask": self.mask, "backdrop": self.backdrop_clip}
        clips |= self.guides
        found = {role: clip.files[0].path.parent for role, clip in clips.items() if clip is not None and clip.files}
        if self.colours.file is not None:
            found["colour"] = self.colours.file.parent
        return found

    def check_out(self, folder: Path) -> None:
        """Make sure that results in a folder cannot replace what they are made from.

        Raises:
            UsageError: a file of the request lies there, and would be called like a result.
        """
        title = self.request.name or self.plate.title
        for path in self.paths():
            alike = path.name.startswith((f"{title}.", f"{title}_"))
            if alike and path.parent.resolve() == folder.resolve():
                raise UsageError(
                    "the results would be called like this file, and lie beside it",
                    code="FILE_EXISTS",
                    where=str(path),
                    hint="choose another --out, or a --name",
                )

    def job(self, blob: Callable[[Path], media_pb2.Blob]) -> jobs_pb2.Job:
        """The job to create; `blob` gives the digest and size of a file."""
        request = self.request
        plate = self.plate.manifest(blob, request.frame_rate, request.colour_space)
        shot = jobs_pb2.Shot(
            plate=plate,
            frames=str(self.frames or ""),
            handles=request.handles,
            within=request.within,
            missing_frames=request.missing,
            colour_config=self.colours.message(blob),
        )
        if self.matte is not None:
            shot.matte.CopyFrom(self.matte.manifest(blob, request.frame_rate))
        if self.mask is not None:
            shot.mask.CopyFrom(self.mask.manifest(blob))
        if request.mask_frame is not None:
            shot.mask_frame = request.mask_frame
        for role, clip in self.guides.items():
            if role.startswith(_CORRECTION):
                frame = int(role.removeprefix(_CORRECTION))
                shot.corrections.append(jobs_pb2.Correction(frame=frame, mask=clip.manifest(blob)))
            else:
                getattr(shot, role).CopyFrom(clip.manifest(blob))
        recipe = jobs_pb2.Recipe(preset=request.preset, subject=request.subject, seed=request.seed)
        if self.backdrop_clip is not None:
            backdrop = self.backdrop_clip.manifest(blob, colour_space=request.backdrop_colour_space)
            recipe.backdrop.media.CopyFrom(backdrop)
        elif self.backdrop.kind == "colour":
            recipe.backdrop.colour = self.backdrop.value
        else:
            recipe.backdrop.prompt = self.backdrop.value
        recipe.settings.update(_plain(request.settings))
        delivery = jobs_pb2.Delivery(
            layers=request.layers,
            format=request.format,
            compression=request.compression,
            colour_space=request.out_colour_space,
        )
        return jobs_pb2.Job(
            display_name=request.name,
            shot=shot,
            recipe=recipe,
            delivery=delivery,
            labels=request.labels,
            priority=request.priority,
        )


def _plain(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """Settings as JSON knows them: frame numbers become texts."""
    return {str(key): _plain(value) if isinstance(value, Mapping) else value for key, value in settings.items()}


def make_ready(request: ShotRequest) -> ReadyShot:
    """Find and check everything that a request names, before anything is sent.

    Raises:
        MediaError: media that are not there or cannot be read, a range outside the plate.
        RecipeError: a backdrop or a seed that makes no sense.
        UsageError: no layers, or a mask's frame without a mask.
    """
    if str(request.matte) == OWN_ALPHA and not Path(OWN_ALPHA).exists():
        request = replace(request, matte=None, settings=with_own_alpha(request.settings))
    _check_texts(request)
    frames = FrameNumbers.parse(request.frames) if request.frames.strip() else None
    within = FrameNumbers.parse(request.within) if request.within.strip() else None
    _check_numbers(request)
    if not request.layers:
        raise UsageError("no layer is asked for", where="layers", hint="name some: --layers comp,matte")
    backdrop = read_backdrop(request.backdrop)
    filled = request.missing != "error"
    plate = as_numbered(find_clip(Path(request.plate), "plate", filled))
    matte = find_clip(Path(request.matte), "matte") if request.matte is not None else None
    mask = find_clip(Path(request.mask), "mask") if request.mask is not None else None
    media = find_clip(Path(backdrop.value), "backdrop") if backdrop.kind == "media" else None
    guides = _guides(request)
    _check_within(frames, within)
    for wanted in (within, frames):
        if wanted is not None and not (filled and plate.kind == "sequence"):
            _check_inside(wanted, plate)
    analysed = _analysed(frames, request.handles, within)
    if analysed is not None and not any(clip.kind == "movie" for clip in guides.values()):
        plate, matte = _needed(analysed, plate, matte, filled)
    if plate.kind == "sequence" and not filled:
        _check_whole(plate, within or frames)
    _check_files({"plate": plate, "matte": matte, "mask": mask, "backdrop": media, **guides})
    return ReadyShot(request, frames, analysed, plate, matte, mask, backdrop, media, find_colours(request), guides)


def _check_files(clips: Mapping[str, Clip | None]) -> None:
    for role, clip in clips.items():
        if clip is not None:
            check_files(clip, role.replace("_", " "))


def _guides(request: ShotRequest) -> dict[str, Clip]:
    """What else helps the matte, by the names that its files have at the daemon."""
    named = {name: getattr(request, name) for name in ("clean_plate", "garbage", "holdout")}
    named |= {f"{_CORRECTION}{frame}": path for frame, path in sorted(request.corrections.items())}
    return {
        role: find_clip(Path(path), role.replace("_", " ")) for role, path in named.items() if path not in (None, "")
    }


def _check_texts(request: ShotRequest) -> None:
    """Texts that can be sent. A file may be called anything; names that are no UTF-8 are sent in other letters."""
    fields = ["preset", "subject", "name", "format", "compression", "colour_space", "out_colour_space"]
    fields += ["backdrop_colour_space", "missing", "layers", "labels", "settings"]
    if not looks_like_a_path(request.backdrop):
        fields.append("backdrop")
    for name in fields:
        if not all(map(is_utf8, _words(getattr(request, name)))):
            raise UsageError(f"the {name} is not UTF-8", where=name, hint="set the terminal to UTF-8")


def _words(value: object) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, Mapping)):
        for each in value.items() if isinstance(value, Mapping) else value:
            yield from _words(each)


def _check_numbers(request: ShotRequest) -> None:
    """Numbers that can be sent, and make sense."""
    if request.mask_frame is not None and request.mask is None:
        raise UsageError(
            f"frame {request.mask_frame} is said to be the mask's, but there is no mask",
            where="mask_frame",
            hint="add --mask PATH, or leave --mask-frame away",
        )
    if not isinstance(request.seed, int) or not -(2**63) <= request.seed < 2**63:
        raise RecipeError(
            f"the seed {request.seed} is no whole number of 64 bits",
            where="seed",
            hint=f"give one between {-(2**63)} and {2**63 - 1}",
        )
    if request.frame_rate is not None and not plausible_rate(request.frame_rate):
        raise MediaError(
            f"{request.frame_rate} is no frame rate", code="SHOT", where="frame_rate", hint="at most 1000 a second"
        )
    odd = unsendable(request.settings)
    if odd:
        raise RecipeError(
            f"the setting '{odd}' has a value of no kind that settings have",
            where=f"recipe.settings.{odd}",
            hint="give a finite number, a text, true or false, or a table of frame numbers",
        )
    if not -100 <= request.priority <= 100:
        raise UsageError(f"{request.priority} is no priority", where="priority", hint="give one from -100 to 100")
    if not 0 <= request.handles < 2**31:
        raise MediaError(f"handles are {request.handles}", code="SHOT", where="handles", hint="give 0 or a few")


def _check_inside(frames: FrameNumbers, plate: Clip) -> None:
    numbers = plate.numbers
    if plate.kind == "still" or plate.count is None:  # the daemon knows better
        return
    first, last = (numbers[0], numbers[-1]) if numbers else (0, plate.count - 1)
    if frames.first < first or frames.last > last:
        raise MediaError(
            f"the range {frames} is not inside the clip",
            code="FRAME_RANGE",
            where=str(plate.path),
            hint=f"the clip has frames {first}-{last}",
        )


def _check_within(frames: FrameNumbers | None, within: FrameNumbers | None) -> None:
    if frames is not None and within is not None and not within.first <= frames.first <= frames.last <= within.last:
        raise MediaError(
            f"the range {frames} is not within {within.first}-{within.last}",
            code="FRAME_RANGE",
            where="within",
            hint="give a range within the frames that are analysed",
        )


def _analysed(frames: FrameNumbers | None, handles: int, within: FrameNumbers | None) -> tuple[int, int] | None:
    """What is looked at: the range and its handles with all that lies between, or what is said outright."""
    if within is not None:
        return within.first, within.last
    return (frames.first - handles, frames.last + handles) if frames is not None else None


def _needed(analysed: tuple[int, int], plate: Clip, matte: Clip | None, filled: bool) -> tuple[Clip, Clip | None]:
    """The frames that are looked at.

    A matte is matched by frame number, or by position where it is as long as the whole plate. Beside a matte
    movie the whole plate is sent: only that keeps their positions.
    """
    if plate.kind != "sequence" or (matte is not None and matte.kind == "movie"):
        return plate, matte
    span = range(analysed[0], analysed[1] + 1)
    short = plate.only([*span, *(_beside(span, plate.numbers) if filled else [])])
    if matte is None or matte.kind != "sequence":
        return short, matte
    if set(short.numbers) <= set(matte.numbers):
        return short, matte.only(short.numbers)
    if len(matte.files) == len(plate.files):
        pairs = zip(plate.numbers, matte.numbers, strict=True)
        return short, matte.only(theirs for ours, theirs in pairs if ours in span)
    return short, matte


def _beside(span: range, numbers: list[int]) -> list[int]:
    """The nearest frames outside, where those at the ends are missing: they may have to stand in for them."""
    there = set(numbers)
    before = max((n for n in numbers if n < span[0]), default=None) if span[0] not in there else None
    after = min((n for n in numbers if n > span[-1]), default=None) if span[-1] not in there else None
    return [number for number in (before, after) if number is not None]


def _check_whole(plate: Clip, frames: FrameNumbers | None) -> None:
    numbers = set(plate.numbers)
    ends = numbers | ({frames.first, frames.last} if frames else set())
    missing = sorted(set(range(min(ends), max(ends) + 1)) - numbers)
    if missing:
        raise MediaError(
            f"the plate lacks frame{'s' if len(missing) > 1 else ''} {FrameNumbers.of(missing)}",
            code="MISSING_FRAMES",
            where=str(plate.path),
            hint="render them, give a range without them, or fill them: --missing hold",
        )
