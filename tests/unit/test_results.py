import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anyportal_core.cache import DirectoryCache
from anyportal_core.errors import AnyPortalError, Cancelled
from anyportal_core.roles import Chunk
from anyportal_core.stages.notes import Note, Notes
from anyportal_core.stages.results import Result, write_result


def yielded(*lengths: int) -> Iterator[Chunk]:
    rng = np.random.default_rng(0)
    for length in lengths:
        alpha = rng.random((length, 6, 8), np.float32)
        alpha[:, 0], alpha[:, 1] = 0, 1
        yield {"alpha": alpha, "homography": rng.random((length, 3, 3))}


def test_windows_come_back_as_they_went_in(tmp_path: Path) -> None:
    write_result(tmp_path / "r", yielded(3, 1, 4), 8, lambda _: None)
    result = Result(tmp_path / "r")
    whole = {n: np.concatenate([c[n] for c in yielded(3, 1, 4)]) for n in ("alpha", "homography")}
    assert (result.count, result.names) == (8, {"alpha", "homography"})
    np.testing.assert_array_equal(result.read("homography", 2, 5), whole["homography"][2:5])
    np.testing.assert_allclose(result.read("alpha", 0, 8), whole["alpha"], atol=0.5 / 65535, rtol=0)


def test_what_was_read_belongs_to_who_reads(tmp_path: Path) -> None:
    """A few numbers a frame are read for all frames at once."""
    write_result(tmp_path / "r", yielded(3, 1, 4), 8, lambda _: None)
    result = Result(tmp_path / "r")
    for name in ("alpha", "homography"):
        first = result.read(name, 2, 5)
        expected = first.copy()
        first[:] = -1
        np.testing.assert_array_equal(result.read(name, 2, 5), expected, strict=True)
        np.testing.assert_array_equal(result.frame(4)[name], expected[2])


def test_full_and_empty_stay_exact(tmp_path: Path) -> None:
    write_result(tmp_path / "r", yielded(2), 2, lambda _: None)
    alpha = Result(tmp_path / "r").read("alpha", 0, 2)
    assert (alpha[:, 0] == 0).all() and (alpha[:, 1] == 1).all()


def test_what_was_said_while_it_was_made_is_kept(tmp_path: Path) -> None:
    told: list[str] = []
    said = Notes(lambda text, warning=False: told.append(text))

    def made() -> Iterator[Chunk]:
        yield from yielded(2, 1)
        for _ in range(2):
            said("frames 12-17 are doubtful: \u00fc", warning=True)
        said("treated as static")

    write_result(tmp_path / "r", made(), 3, lambda _: None, said.kept)
    assert Result(tmp_path / "r").notes == [Note("frames 12-17 are doubtful: \u00fc", True), Note("treated as static")]
    assert told == ["frames 12-17 are doubtful: \u00fc", "treated as static"], "each is told once"


def test_a_result_of_which_nothing_is_said_is_the_file_it_always_was(tmp_path: Path) -> None:
    write_result(tmp_path / "old", yielded(3), 3, lambda _: None)
    write_result(tmp_path / "new", yielded(3), 3, lambda _: None, [])
    assert (tmp_path / "old").read_bytes() == (tmp_path / "new").read_bytes()
    assert Result(tmp_path / "old").notes == []


def test_equal_results_are_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_result(tmp_path / name, yielded(2, 2), 4, lambda _: None)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("lengths", [(2,), (2, 3)])
def test_a_wrong_number_of_frames_is_an_error(tmp_path: Path, lengths: tuple[int, ...]) -> None:
    with pytest.raises(AnyPortalError):
        write_result(tmp_path / "r", yielded(*lengths), 4, lambda _: None)


LIMITED = """
import errno, resource, signal, sys
import numpy as np
from pathlib import Path
from anyportal_core.cache import DirectoryCache
from anyportal_core.errors import DiskFullError
from anyportal_core.stages.results import write_result

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
cache = DirectoryCache(folder)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
rng = np.random.default_rng(0)
try:
    with cache.writing("k") as path:
        write_result(path, ({"alpha": rng.random((4, 64, 96), np.float32)} for _ in range(8)), 32, lambda done: None)
    print("kept")
except DiskFullError:
    print("full")
print(len(list(folder.iterdir())))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the limit of a file's size is a matter of POSIX")
@pytest.mark.parametrize("limit", [0, 100, 5_000, 40_000, 200_000, 350_000, 10_000_000])
def test_a_disk_that_fills_up_is_told_and_takes_nothing_down(tmp_path: Path, limit: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), str(limit)], capture_output=True, text=True, timeout=60
    )
    expected = "kept\n1\n" if limit == 10_000_000 else "full\n0\n"
    assert (run.returncode, run.stdout, run.stderr) == (0, expected, "")


def test_the_cache_keeps_only_what_was_finished(tmp_path: Path) -> None:
    cache = DirectoryCache(tmp_path)
    with pytest.raises(Cancelled), cache.writing("k") as path:
        path.write_bytes(b"half")
        raise Cancelled("enough")
    assert cache.find("k") is None
    assert list(tmp_path.iterdir()) == []
    with cache.writing("k") as path:
        path.write_bytes(b"whole")
    found = cache.find("k")
    assert found is not None and found.read_bytes().startswith(b"whole\nanyportal-sha256 ")


def test_any_changed_byte_of_a_stage_result_is_seen(tmp_path: Path, fresh_seed: int) -> None:
    cache = DirectoryCache(tmp_path)
    with cache.writing("k") as path:
        write_result(path, yielded(4), 4, lambda done: None)
    kept = cache.find("k")
    assert kept is not None
    whole, rng = kept.read_bytes(), random.Random(fresh_seed)
    for position in [0, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(20))]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.randrange(8)
        kept.write_bytes(damaged)
        assert cache.find("k") is None, f"byte {position} of {len(whole)}"
        assert not kept.exists(), "nobody finds it again"
    for length in (0, 10, len(whole) - 1):
        kept.write_bytes(whole[:length])
        assert cache.find("k") is None
    kept.write_bytes(whole)
    assert cache.find("k") == kept


def test_a_hit_counts_as_a_use(tmp_path: Path) -> None:
    cache = DirectoryCache(tmp_path)
    with cache.writing("k") as path:
        path.write_bytes(b"result")
    (kept,) = tmp_path.iterdir()
    os.utime(kept, (1000, 1000))
    before = time.time_ns()
    assert cache.find("k") == kept
    assert kept.stat().st_mtime_ns >= before - 50_000_000, "the kernel's clock lags a tick"
    os.utime(kept, (1000, 1000))
    assert cache.find("other") is None
    assert kept.stat().st_mtime == 1000
