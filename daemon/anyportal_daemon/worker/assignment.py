"""From a job as it is written down to the message that has it run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import PurePosixPath

from anyportal.v1 import media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.shot import Span
from anyportal_daemon.jobs.clips import digest_of, filename_of, names_content, shared_files
from anyportal_daemon.jobs.resumption import Finished
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker.messages import ClipInput, RunJob


def assignment(job_id: str, job: Job, finished: Finished, folders: SharedFolders) -> RunJob:
    """The message that has a checked job run, or go on.

    Raises:
        AnyPortalError: shared media that can no longer be reached.
    """
    shot, backdrop = job.shot, job.recipe.backdrop
    colour = shot.colour_config
    file = colour.file if colour.WhichOneof("kind") == "file" else None

    def clip(manifest: media_pb2.ClipManifest, field: str) -> ClipInput:
        return _clip(manifest, field, folders)

    return RunJob(
        job=job_id,
        name=job.display_name,
        plate=clip(shot.plate, "shot.plate"),
        frames=shot.frames,
        handles=shot.handles,
        matte=clip(shot.matte, "shot.matte") if shot.HasField("matte") else None,
        mask=clip(shot.mask, "shot.mask") if shot.HasField("mask") else None,
        mask_frame=shot.mask_frame if shot.HasField("mask_frame") else None,
        backdrop=_promised(clip(backdrop.media, "recipe.backdrop.media"), job) if backdrop.HasField("media") else None,
        recipe=job.resolved_recipe,
        layers=tuple(job.delivery.layers),
        format=job.delivery.format,
        compression=job.delivery.compression or "zip",
        colour_space=job.delivery.colour_space,
        within=shot.within,
        missing=shot.missing_frames or "error",
        colour_config=colour.name,
        colour_file=(file.blob.sha256, file.filename) if file else None,
        clean_plate=clip(shot.clean_plate, "shot.clean_plate") if shot.HasField("clean_plate") else None,
        garbage=clip(shot.garbage, "shot.garbage") if shot.HasField("garbage") else None,
        holdout=clip(shot.holdout, "shot.holdout") if shot.HasField("holdout") else None,
        corrections={
            each.frame: clip(each.mask, f"shot.corrections[{index}].mask")
            for index, each in enumerate(shot.corrections)
        },
        finish=finished.key,
        finished=finished.frames,
    )


def _promised(backdrop: ClipInput, job: Job) -> ClipInput:
    """A backdrop that names no content has that which the recipe was made with."""
    if backdrop.files:
        return backdrop
    return replace(backdrop, content=json.loads(job.resolved_recipe)["backdrop"]["value"])


def _clip(clip: media_pb2.ClipManifest, field: str, folders: SharedFolders) -> ClipInput:
    rate = (clip.frame_rate.numerator, clip.frame_rate.denominator) if clip.HasField("frame_rate") else None
    if clip.HasField("shared"):
        return _shared(clip, f"{field}.shared", rate, folders)
    if clip.HasField("file"):
        files: tuple[tuple[str, str], ...] = ((clip.file.blob.sha256, clip.file.filename),)
        return ClipInput(clip.file.filename, files, rate, clip.colour_space, digest_of(clip), span=_span(clip.file))
    # In a sequence's name these stand for frame numbers, whatever its owner meant by them.
    pattern = re.sub("[#@]", "_", clip.sequence.pattern)
    files = tuple((frame.blob.sha256, pattern % frame.number) for frame in clip.sequence.frames)
    return ClipInput(pattern, files, rate, clip.colour_space, digest_of(clip))


def _span(file: media_pb2.MediaFile) -> Span | None:
    if not file.HasField("span"):
        return None
    span = file.span
    rate = Fraction(span.frame_rate.numerator, span.frame_rate.denominator)
    return Span(span.first_frame, span.frame_count, rate, span.timecode)


def _shared(
    clip: media_pb2.ClipManifest, field: str, rate: tuple[int, int] | None, folders: SharedFolders
) -> ClipInput:
    shared = clip.shared
    if not names_content(shared):
        path, found = folders.find(shared.mapping, shared.path, field)
        name = "" if path.is_dir() else path.name
        return ClipInput(name, (), rate, clip.colour_space, elsewhere=found)
    files, elsewhere = [], {}
    for where, named, blob in shared_files(shared, field):
        name = re.sub("[#@]", "_", PurePosixPath(named).name)
        files.append((blob.sha256, name))
        elsewhere[name] = folders.file(shared.mapping, named, blob.size, where)
    name = re.sub("[#@]", "_", filename_of(clip))
    return ClipInput(name, tuple(files), rate, clip.colour_space, digest_of(clip), elsewhere)
