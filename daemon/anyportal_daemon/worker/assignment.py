"""From a job as it is written down to the message that has it run."""

from __future__ import annotations

import re

from anyportal.v1 import media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_daemon.jobs.clips import digest_of, filename_of
from anyportal_daemon.jobs.resumption import Finished
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker.messages import ClipInput, RunJob


def assignment(job_id: str, job: Job, finished: Finished, folders: SharedFolders) -> RunJob:
    """The message that has a checked job run, or go on.

    Raises:
        AnyPortalError: shared media that can no longer be reached.
    """
    shot, backdrop = job.shot, job.recipe.backdrop

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
        backdrop=clip(backdrop.media, "recipe.backdrop.media") if backdrop.HasField("media") else None,
        recipe=job.resolved_recipe,
        layers=tuple(job.delivery.layers),
        format=job.delivery.format,
        finish=finished.key,
        finished=finished.frames,
    )


def _clip(clip: media_pb2.ClipManifest, field: str, folders: SharedFolders) -> ClipInput:
    rate = (clip.frame_rate.numerator, clip.frame_rate.denominator) if clip.HasField("frame_rate") else None
    if clip.HasField("shared"):
        path, _ = folders.find(clip.shared.mapping, clip.shared.path, f"{field}.shared")
        return ClipInput(str(path), (), rate, clip.colour_space)
    if clip.HasField("file"):
        files: tuple[tuple[str, str], ...] = ((clip.file.blob.sha256, clip.file.filename),)
    else:
        # In a sequence's name these stand for frame numbers, whatever its owner meant by them.
        pattern = re.sub("[#@]", "_", clip.sequence.pattern)
        files = tuple((frame.blob.sha256, pattern % frame.number) for frame in clip.sequence.frames)
        return ClipInput(pattern, files, rate, clip.colour_space, digest_of(clip))
    return ClipInput(filename_of(clip), files, rate, clip.colour_space, digest_of(clip))
