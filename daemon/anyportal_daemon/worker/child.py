"""The worker child: takes one job at a time from the pipe and renders it. The only process that loads plug-ins."""

from __future__ import annotations

import os
import queue
import shutil
import threading
import traceback
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.device import devices, settle_on
from anyportal_core.errors import AnyPortalError, Cancelled
from anyportal_core.frames import FrameSet
from anyportal_core.models import Models
from anyportal_core.recipe import resolve_canonical
from anyportal_core.shot import MediaRef, MissingFrames, Shot
from anyportal_daemon.database import file_errors
from anyportal_daemon.errors import BlobCorruptError, BlobsMissingError, ConfigError
from anyportal_daemon.storage.files import BlobFiles
from anyportal_daemon.worker.borrowed import Loan, LoanedCache, SharedFiles
from anyportal_daemon.worker.heart import Heart
from anyportal_daemon.worker.lifetime import (
    divide_processors,
    leave_signals_to_parent,
    say_nothing_on_stdout,
    share_processors,
    tie_to_parent,
)
from anyportal_daemon.worker.memory import give_back, keep_resident, out_of_gpu_memory, settle
from anyportal_daemon.worker.messages import (
    Beat,
    CancelJob,
    ClipInput,
    Failed,
    Finishing,
    FromChild,
    Outcome,
    Ready,
    RunJob,
    Said,
    StageBegun,
    Stop,
    Succeeded,
    ToChild,
    WasCancelled,
    WorkerSetup,
)


def main(pipe: Connection, setup: WorkerSetup) -> None:
    """Serve jobs until told to stop. Runs in a spawned process."""
    leave_signals_to_parent()
    tie_to_parent(setup.parent)
    say_nothing_on_stdout()
    share_processors()
    try:
        worker = Worker(pipe, setup)
    except ConfigError as error:
        pipe.send(Failed(error.code, error.message, error.where, error.hint))
        return
    worker.serve()


class Worker:
    """Jobs from the pipe, reports into it.

    Raises:
        ConfigError: the device that it is to run on is not there.
    """

    def __init__(self, pipe: Connection, setup: WorkerSetup) -> None:
        self._pipe, self._sending = pipe, threading.Lock()
        self._blobs = BlobFiles(setup.blobs)
        self._shared = SharedFiles()
        self._cache = DirectoryCache(setup.stages)
        self._scratch, self._limits = setup.scratch, setup.limits
        self._found = () if setup.device else devices()
        self._device = setup.device or self._found[0]
        self._share = len(self._found) or setup.share
        _take_device(self._device, self._share)
        self._models = Models.configured(setup.models)
        self._catalogue = load_catalogue()
        self._jobs: queue.SimpleQueue[RunJob | None] = queue.SimpleQueue()
        self._cancel = threading.Event()

    def serve(self) -> None:
        threading.Thread(target=self._listen, name="pipe", daemon=True).start()
        keep_resident(self._limits, self._device, self._share)
        self._send(Ready(self._catalogue, self._device, self._found))
        Heart(self._send).start()
        while job := self._jobs.get():
            self._send(self._run(job))

    def _send(self, message: FromChild | Beat) -> None:
        with self._sending:
            self._pipe.send(message)

    def _listen(self) -> None:
        """Read the pipe while jobs run, so that a job can be cancelled."""
        try:
            while not isinstance(message := self._receive(), Stop):
                if isinstance(message, RunJob):
                    self._cancel.clear()
                    self._jobs.put(message)
                else:
                    self._cancel.set()
            self._jobs.put(None)
        except (EOFError, OSError):
            os._exit(1)  # the daemon is gone, and nobody is left to render for

    def _receive(self) -> ToChild:
        message: RunJob | CancelJob | Stop = self._pipe.recv()
        return message

    def _run(self, job: RunJob) -> Outcome:
        folder = self._scratch / job.job
        try:
            self._render_with_room(job, folder)
            return Succeeded()
        except Cancelled:
            return WasCancelled()
        except AnyPortalError as error:
            return Failed(error.code, error.message, error.where, error.hint)
        except MemoryError:
            hint = "lower work.long_side, or free memory"
            return Failed("OUT_OF_MEMORY", "the machine has not enough memory", "", hint)
        except Exception as error:  # a bug must fail one job, not the worker
            traceback.print_exc()
            message = f"a bug: {type(error).__name__}: {error}"
            return Failed("INTERNAL", message, "", "report it with the daemon's log")
        finally:
            settle()
            shutil.rmtree(folder, ignore_errors=True)

    def _render_with_room(self, job: RunJob, folder: Path) -> None:
        """Render; where the GPU's memory was full, once more with all of it that can be freed.

        What is finished is reused. Smaller batches might change a pixel, so they are for the recipe to ask for.

        Raises:
            OutOfGpuMemoryError: it was full again.
        """
        try:
            self._render(job, folder)
            return
        except Exception as error:
            full = out_of_gpu_memory(error, self._device)
            if full is None:
                raise
        give_back(self._device)  # not before the error is gone: it holds on to what the plug-in had
        self._send(Said(f"the GPU's memory was full ({full.message}); once more with all of it free", True))
        try:
            self._render(job, folder)
        except Exception as error:
            if (full := out_of_gpu_memory(error, self._device)) is not None:
                raise full from error
            raise

    def _render(self, job: RunJob, folder: Path) -> None:
        from anyportal_core.media import bounds  # decoders and OpenCV: not before they are needed
        from anyportal_core.pipeline import render_shot
        from anyportal_daemon.worker.observer import PipeObserver

        bounds.limit(int(self._limits.picture_megapixels * bounds.MEGAPIXEL))
        shutil.rmtree(folder, ignore_errors=True)
        results = folder / "results"
        with file_errors(results):
            results.mkdir(parents=True)
        with Loan(self._shared, self._cancel) as loan:
            shot = self._shot(job, folder, loan)
            recipe = resolve_canonical(job.recipe, self._catalogue)
            delivery = Delivery(job.layers, job.format, job.compression, job.colour_space)
            with PipeObserver(self._send, self._blobs, self._cancel, self._limits.frames, loan.check) as observer:
                render_shot(
                    shot,
                    recipe,
                    delivery,
                    results,
                    LoanedCache(self._cache, loan),
                    observer,
                    self._catalogue,
                    self._models,
                    self._device,
                    partial(self._finished, job),
                    lambda key: self._send(StageBegun(key)),
                )

    def _shot(self, job: RunJob, folder: Path, loan: Loan) -> Shot:
        """What a job is about, its files laid. Raises as ``_laid`` does."""
        clips = {"plate": job.plate, "matte": job.matte, "mask": job.mask, "backdrop": job.backdrop}
        clips |= {"clean_plate": job.clean_plate, "garbage": job.garbage, "holdout": job.holdout}
        clips |= {f"correction_{number}": clip for number, clip in job.corrections.items()}
        laid = self._laid({role: clip for role, clip in clips.items() if clip}, folder, loan)
        return Shot(
            plate=laid["plate"],
            frames=FrameSet.parse(job.frames) if job.frames else None,
            handles=job.handles,
            matte=laid.get("matte"),
            mask=laid.get("mask"),
            mask_frame=job.mask_frame,
            corrections={number: laid[f"correction_{number}"] for number in job.corrections},
            clean_plate=laid.get("clean_plate"),
            garbage=laid.get("garbage"),
            holdout=laid.get("holdout"),
            backdrop=laid.get("backdrop"),
            within=FrameSet.parse(job.within) if job.within else None,
            missing=cast(MissingFrames, job.missing),
            colour_config=self._colour_config(job, folder),
            name=job.name,
        )

    def _colour_config(self, job: RunJob, folder: Path) -> str:
        """The name of a built-in configuration, or where the job's own was laid. Raises as ``_laid`` does."""
        if job.colour_file is None:
            return job.colour_config
        sha256, name = job.colour_file
        path = folder / "colour" / name
        self._blobs.link(sha256, path)
        from anyportal_core.media.ocio_files import check_sent_config  # as other media, not before it is needed

        check_sent_config(path)
        return str(path)

    def _finished(self, job: RunJob, finish: str) -> frozenset[int]:
        """The frames that need not be made again, now that it is known what decides them."""
        self._send(Finishing(finish))
        return job.finished if finish == job.finish else frozenset()

    def _laid(self, clips: Mapping[str, ClipInput], folder: Path, loan: Loan) -> dict[str, MediaRef]:
        """Lay the files of clips in folders called like their roles, under their own names.

        All of them are looked at before the first that is no good is told of, so that one job finds all of the damage.

        Raises:
            BlobsMissingError, BlobCorruptError, MediaUnreadableError, MediaChangedError: a file is gone, or not what
                it was.
            Cancelled: while they were read.
        """
        wrong: list[AnyPortalError] = []
        for role, clip in clips.items():
            digests = dict.fromkeys(clip.elsewhere, "") | {name: sha256 for sha256, name in clip.files}
            for name, sha256 in digests.items():
                self._checkpoint()
                try:
                    if name in clip.elsewhere:
                        loan.lay(clip.elsewhere[name], sha256, folder / role / name)
                    else:
                        self._blobs.link(sha256, folder / role / name)
                except (BlobsMissingError, BlobCorruptError) as error:
                    wrong.append(error)
            if clip.content:
                loan.prove(clip.elsewhere, clip.content, role)
        if wrong:
            raise wrong[0]
        return {role: self._media(clip, folder / role) for role, clip in clips.items()}

    def _checkpoint(self) -> None:
        if self._cancel.is_set():
            raise Cancelled("the job was cancelled")

    def _media(self, clip: ClipInput, folder: Path) -> MediaRef:
        rate = Fraction(*clip.rate) if clip.rate else None
        digests = {name: sha256 for sha256, name in clip.files}
        return MediaRef(folder / clip.name, rate, clip.colour_space, clip.digest, digests, clip.span)


def _take_device(device: str, share: int) -> None:
    """Run on this device, and on a part of the processors.

    Raises:
        ConfigError: it is not there.
    """
    there = devices() if device != "cpu" else ("cpu",)
    if device not in there:
        hint = f"there is {', '.join(there)}; without torch for CUDA and a driver no GPU is seen"
        raise ConfigError(f"there is no {device}", where="worker.devices", hint=hint)
    settle_on(device)
    divide_processors(share)
