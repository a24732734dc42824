"""From what a client asks for to a job that can be queued: everything checked, the recipe in full."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.delivery import Delivery
from anyportal_core.errors import FrameRangeError, RecipeError, ShotError, unknown_name
from anyportal_core.frames import MOST_FRAMES, FrameSet
from anyportal_core.recipe import BackdropChoice, Recipe, RecipeRequest, resolve
from anyportal_core.registry import Catalogue
from anyportal_core.shot import MISSING_FRAMES
from anyportal_daemon.jobs.clips import (
    MAX_TITLE,
    blobs_of,
    check_clip,
    check_filename,
    digest_of,
    kind_of,
    names_content,
    shared_files,
    title_of,
)
from anyportal_daemon.jobs.colour import check_colour_config, colour_blob
from anyportal_daemon.jobs.texts import check_printable, printable
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.shared import SharedFolders, digest_files

MAX_TEXT = 10_000
MAX_LABELS = 64
MAX_CORRECTIONS = 1000
GUIDES: Final = ("clean_plate", "garbage", "holdout")
HINTS: Final = ("matte", "mask", "clean_plate")
"""What a shot may bring by which a preset chooses how its matte is made."""

MAX_PRIORITY = 100
_SEVERAL_LINES = ("recipe.subject", "recipe.backdrop.prompt")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Plan:
    """A checked job.

    Args:
        job: as the client gave it, with the recipe's digest and canonical form and all defaults filled in.
        blobs: its inputs, each with the path of the field that names it.
    """

    job: Job
    blobs: tuple[tuple[str, BlobId], ...]


def plan(asked: Job, catalogue: Catalogue, folders: SharedFolders, most_frames: int = MOST_FRAMES) -> Plan:
    """Check a job.

    Args:
        most_frames: that it may analyse.

    Raises:
        AnyPortalError: of the families InputError and RecipeError, or BlobError; ``where`` is the field at fault.
    """
    job = Job(shot=asked.shot, recipe=asked.recipe, delivery=asked.delivery, labels=asked.labels)
    job.priority = _checked_priority(asked.priority)
    job.display_name = asked.display_name or printable(title_of(job.shot.plate))
    _check_texts(job)
    clips = list(_clips(job))
    for field, clip in clips:
        check_clip(clip, field)
        if clip.HasField("shared"):
            _check_shared(clip.shared, folders, f"{field}.shared")
    _check_frames(job.shot, most_frames)
    _check_missing(job.shot)
    _check_corrections(job.shot)
    check_colour_config(job.shot)
    recipe = _resolve(job, catalogue, folders)
    delivery = _delivery(job.delivery)
    job.recipe.preset = recipe.preset
    job.delivery.CopyFrom(jobs_pb2.Delivery(**asdict(delivery)))
    job.recipe_digest, job.resolved_recipe = recipe.digest, recipe.canonical()
    return Plan(job, tuple(inputs(job)))


def inputs(job: Job) -> list[tuple[str, BlobId]]:
    """Field and blob of everything that a checked job reads from the store."""
    return [*colour_blob(job.shot), *(named for field, clip in _clips(job) for named in blobs_of(clip, field))]


def _clips(job: Job) -> Iterator[tuple[str, media_pb2.ClipManifest]]:
    yield "shot.plate", job.shot.plate
    if job.shot.HasField("matte"):
        yield "shot.matte", job.shot.matte
    if job.shot.HasField("mask"):
        yield "shot.mask", job.shot.mask
    for name in GUIDES:
        if job.shot.HasField(name):
            yield f"shot.{name}", getattr(job.shot, name)
    for index, correction in enumerate(job.shot.corrections):
        yield f"shot.corrections[{index}].mask", correction.mask
    if job.recipe.backdrop.HasField("media"):
        yield "recipe.backdrop.media", job.recipe.backdrop.media


def _check_shared(shared: media_pb2.SharedMedia, folders: SharedFolders, field: str) -> None:
    """That shared files are there, inside their root and as large as they were where the client saw them."""
    for where, path, blob in shared_files(shared, field):
        folders.file(shared.mapping, path, blob.size, where)
    if not names_content(shared):
        folders.find(shared.mapping, shared.path, field)


def _check_texts(job: Job) -> None:
    check_filename(job.display_name, "display_name", MAX_TITLE)
    texts = {
        "shot.frames": job.shot.frames,
        "shot.within": job.shot.within,
        "delivery.colour_space": job.delivery.colour_space,
        "recipe.subject": job.recipe.subject,
        "recipe.backdrop.prompt": job.recipe.backdrop.prompt,
        **{f"labels.{printable(key[:40])}": key + value for key, value in job.labels.items()},
    }
    for field, text in texts.items():
        if len(text) > MAX_TEXT:
            raise ShotError(f"a text of {len(text)} characters", where=field, hint=f"at most {MAX_TEXT}")
        check_printable(text, field, lines=field in _SEVERAL_LINES)
    if len(job.labels) > MAX_LABELS:
        raise ShotError(f"{len(job.labels)} labels", where="labels", hint=f"at most {MAX_LABELS}")


def _checked_priority(priority: int) -> int:
    if not -MAX_PRIORITY <= priority <= MAX_PRIORITY:
        hint = f"give one from {-MAX_PRIORITY} to {MAX_PRIORITY}; 0 is usual"
        raise ShotError(f"{priority} is no priority", where="priority", hint=hint)
    return priority


def _check_frames(shot: jobs_pb2.Shot, most: int) -> None:
    if shot.handles < 0:
        raise ShotError(f"handles are {shot.handles}", where="shot.handles", hint="give 0 or more")
    frames = _parsed(shot.frames, "shot.frames")
    within = _parsed(shot.within, "shot.within")
    if shot.plate.HasField("sequence") and shot.missing_frames in ("", "error"):
        there = shot.plate.sequence.frames[0].number, shot.plate.sequence.frames[-1].number
        for field, wanted in (("shot.frames", frames), ("shot.within", within)):
            if wanted is not None:
                _check_inside(wanted, there, field)
    if within is not None and frames is not None and not within.first <= frames.first <= frames.last <= within.last:
        raise FrameRangeError(
            f"the range {frames} is not within {within.first}-{within.last}",
            where="shot.within",
            hint="give a range within the frames that are analysed",
        )
    _check_length(shot, within or frames, 0 if within else shot.handles, most)


def _check_length(shot: jobs_pb2.Shot, wanted: FrameSet | None, handles: int, most: int) -> None:
    """That no more is analysed than may be, as far as that can be told without opening the media."""
    listed = shot.plate.sequence.frames or shot.plate.shared.frames
    if wanted is not None:
        first, last = wanted.first - handles, wanted.last + handles
        if listed:  # handles go no further than the plate does, and where frames are filled what is asked for
            first = max(first, min(listed[0].number, wanted.first))
            last = min(last, max(listed[-1].number, wanted.last))
        else:  # how many of them there are only the media say
            first, last = wanted.first, wanted.last
    elif listed:
        first, last = listed[0].number, listed[-1].number
    else:
        return
    if last - first >= most:
        raise FrameRangeError(
            f"{last - first + 1} frames from {first} to {last}: {most} are allowed",
            where="shot.within" if shot.within else "shot.frames",
            hint="give fewer at once, or raise worker.frames in the daemon's configuration",
        )


def _parsed(text: str, field: str) -> FrameSet | None:
    if not text:
        return None
    try:
        return FrameSet.parse(text)
    except FrameRangeError as error:
        raise FrameRangeError(error.message, where=field, hint=error.hint) from None


def _check_inside(frames: FrameSet, there: tuple[int, int], field: str) -> None:
    first, last = there
    if frames.first < first or frames.last > last:
        hint = f"the clip has frames {first}-{last}"
        raise FrameRangeError(f"the range {frames} is not inside the clip", where=field, hint=hint)


def _check_corrections(shot: jobs_pb2.Shot) -> None:
    numbers = [correction.frame for correction in shot.corrections]
    if len(numbers) > MAX_CORRECTIONS:
        raise ShotError(f"{len(numbers)} masks", where="shot.corrections", hint=f"at most {MAX_CORRECTIONS}")
    for index, number in enumerate(numbers):
        if number in numbers[:index]:
            raise ShotError(f"frame {number} has two masks", where=f"shot.corrections[{index}].frame", hint="give one")


def _check_missing(shot: jobs_pb2.Shot) -> None:
    if shot.missing_frames and shot.missing_frames not in MISSING_FRAMES:
        raise unknown_name("policy", shot.missing_frames, MISSING_FRAMES, where="shot.missing_frames")


def _delivery(asked: jobs_pb2.Delivery) -> Delivery:
    return Delivery(
        tuple(asked.layers) or ("comp",), asked.format or "auto", asked.compression or "zip", asked.colour_space
    )


def _resolve(job: Job, catalogue: Catalogue, folders: SharedFolders) -> Recipe:
    asked = job.recipe
    request = RecipeRequest(
        backdrop=_backdrop(asked.backdrop, folders),
        preset=asked.preset or "draft",
        subject=asked.subject,
        seed=asked.seed,
        settings=_settings(asked.settings, "recipe.settings"),
    )
    return resolve(request, catalogue, frozenset(name for name in HINTS if job.shot.HasField(name)))


def _settings(settings: struct_pb2.Struct, field: str) -> dict[str, object]:
    """Settings as plain data. JSON has no NaN and no infinity, a double has.

    Raises:
        RecipeError: a number that is not finite.
    """
    found: dict[str, object] = {}
    for name, value in settings.fields.items():
        where = f"{field}.{name[:80]}"
        if value.HasField("struct_value"):
            found[name] = _settings(value.struct_value, where)
        elif value.HasField("list_value"):
            raise RecipeError(f"'{name[:80]}' is a list", where=where, hint="no setting is one")
        elif value.HasField("number_value") and not math.isfinite(value.number_value):
            raise RecipeError(f"{value.number_value} is not a finite number", where=where, hint="give a finite one")
        else:
            found[name] = MessageToDict(value)
    return found


def _backdrop(backdrop: jobs_pb2.Backdrop, folders: SharedFolders) -> BackdropChoice:
    kind = backdrop.WhichOneof("kind")
    if kind == "media":
        clip = backdrop.media
        if clip.HasField("shared") and not names_content(clip.shared):
            field = "recipe.backdrop.media.shared"
            _, files = folders.find(clip.shared.mapping, clip.shared.path, field)
            return BackdropChoice(kind_of(clip), digest_files(files, f"{field}.path"))
        return BackdropChoice(kind_of(clip), digest_of(clip))
    if kind == "colour":
        if not _COLOUR.fullmatch(backdrop.colour):
            raise RecipeError(
                f"'{backdrop.colour[:40]}' is no colour", where="recipe.backdrop.colour", hint="write it as #rrggbb"
            )
        return BackdropChoice("colour", backdrop.colour.lower())
    if kind == "prompt":
        return BackdropChoice("prompt", backdrop.prompt)
    raise RecipeError("no backdrop is given", where="recipe.backdrop", hint="give a picture, a clip or a colour")
