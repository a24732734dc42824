"""Jobs and their clip manifests, and paths below shared folders: taken, or refused with what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hypothesis import strategies as st

from anyportal.v1 import media_pb2
from anyportal.v1.jobs_pb2 import Backdrop, Job, Recipe, Shot
from anyportal_core.catalogue import load_catalogue
from anyportal_core.errors import AnyPortalError
from anyportal_daemon.jobs.plan import inputs, plan
from anyportal_daemon.storage.shared import SharedFolders
from fuzz.strategies import EMPTY_SHA256, messages, texts
from fuzz.target import Target


def _good_jobs() -> list[Job]:
    blob = media_pb2.Blob(sha256=EMPTY_SHA256, size_bytes=0)
    frames = [media_pb2.SequenceFrame(number=number, blob=blob) for number in (1001, 1002, 1003)]
    sequence = media_pb2.ClipManifest(sequence=media_pb2.FrameSequence(frames=frames, pattern="plate.%04d.exr"))
    movie = media_pb2.ClipManifest(file=media_pb2.MediaFile(blob=blob, filename="plate.mov"))
    shared = media_pb2.ClipManifest(shared=media_pb2.SharedMedia(mapping="footage", path="a/plate.0001.png"))
    recipe = Recipe(backdrop=Backdrop(colour="#336699"))
    return [Job(shot=Shot(plate=clip, matte=clip), recipe=recipe) for clip in (sequence, movie, shared)]


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """A job of anything, or a good one with something else in it."""
    job = Job()
    if draw(st.booleans()):
        job.CopyFrom(draw(st.sampled_from(_good_jobs())))
    job.MergeFrom(draw(messages(Job.DESCRIPTOR)))
    return job


def _tree(folder: Path) -> tuple[Path, Path]:
    """A shared folder with links in it that lead elsewhere, and what must not be reached."""
    root, outside = folder / "footage", folder / "outside"
    (root / "a" / "b").mkdir(parents=True)
    outside.mkdir()
    for file in (root / "a" / "plate.0001.png", root / "a" / "b" / "plate.0002.png", outside / "secret.png"):
        file.write_bytes(b"x")
    for name, to in {"out": outside, "up": folder, "loop": root / "loop", "in": root / "a"}.items():
        (root / name).symlink_to(to)
    (root / "a" / "plate.0003.png").symlink_to(outside / "secret.png")
    return root.resolve(), outside.resolve()


@contextmanager
def planned(folder: Path) -> Iterator[Callable[[Job], None]]:
    root, _ = _tree(folder)
    catalogue, folders = load_catalogue(), SharedFolders({"footage": root})

    def check(job: Job) -> None:
        with suppress(AnyPortalError):
            inputs(plan(job, catalogue, folders).job)

    yield check


@contextmanager
def below(folder: Path) -> Iterator[Callable[[str], None]]:
    root, _ = _tree(folder)
    folders = SharedFolders({"footage": root})

    def check(path: str) -> None:
        with suppress(AnyPortalError):
            _, files = folders.find("footage", path, "plate")
            assert all(file.resolve().is_relative_to(root) for file in files.values()), path
        with suppress(AnyPortalError):
            assert folders.file("footage", path, 1, "plate").resolve().is_relative_to(root), path

    yield check


_PARTS = st.sampled_from(
    (
        *("a", "b", "out", "up", "loop", "in", "..", ".", "", "footage", "outside", "secret.png", "plate.0001.png"),
        *("plate.0003.png", "plate.%04d.png", "plate.####.png", "secret.@.png", "~", "%2e%2e", "..\\", "C:", "\0"),
    )
)
PATHS = st.builds(lambda parts, between: between.join(parts), st.lists(_PARTS | texts()), st.sampled_from("//\\"))

TARGETS = (Target("manifests", jobs(), planned), Target("paths", PATHS, below))
