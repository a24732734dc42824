"""What a stage that is not done yet has finished: windows, or runs of frames, so that it need not begin anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from anyportal_core.cache import StageCache
from anyportal_core.roles import Chunk
from anyportal_core.stages import notes
from anyportal_core.stages.notes import Notes

_SECONDS = "anyportal: seconds"
"""Beside a part's arrays, what making it took; no plug-in calls an array like that."""

_NOTES = "anyportal: notes"
"""And what was said meanwhile."""


class Parts:
    """The parts of one stage's result, kept beside the results under its key until the result is whole.

    They come back bit for bit, in the same layout as they were given, so whatever is computed from them is the same in
    a run that was cut short and in one that was not.

    Args:
        damaged: called when a part that was kept is damaged; it is made again.
        said: what is said while parts are made; what was said of a part that is kept is said again.
    """

    def __init__(
        self,
        cache: StageCache,
        key: str,
        damaged: Callable[[], None] = lambda: None,
        said: Notes | None = None,
    ) -> None:
        self._cache, self._key, self._damaged = cache, key, damaged
        self._said = said or Notes(lambda text, warning=False: None)
        self._used: set[str] = set()
        self.spared = 0.0
        """Seconds that an earlier run took for the parts that were not made again."""

    def __call__(self, number: int, make: Callable[[], Chunk]) -> Chunk:
        """Part ``number`` as an earlier run has kept it; else as ``make`` makes it, and kept.

        Raises:
            DiskFullError, StorageError: the disk refused.
        """
        key = f"{self._key}-{number}"
        self._used.add(key)
        kept = self._read(key)
        if kept is not None:
            self.spared += float(kept.pop(_SECONDS, 0.0))
            self._said.again(notes.read(str(kept.pop(_NOTES, "[]"))))
            return kept
        begun, before = time.monotonic(), len(self._said.kept)
        made = {name: np.asarray(values, order="C") for name, values in make().items()}
        with self._cache.writing(key) as aside, aside.open("wb") as file:
            aside_of_it = {_SECONDS: time.monotonic() - begun, _NOTES: notes.written(self._said.kept[before:])}
            np.savez(file, **made, **aside_of_it)  # type: ignore[arg-type]
        return made

    def drop(self) -> None:
        """Forget them: the result is whole."""
        for key in self._used:
            self._cache.drop(key)

    def _read(self, key: str) -> Chunk | None:
        path = self._cache.find(key, self._damaged)
        if path is None:
            return None
        arrays = _arrays(path)
        if arrays is None:
            self._cache.drop(key)
            self._damaged()
        return arrays


def _arrays(path: Path) -> Chunk | None:
    """The arrays of a file; None where it is damaged, which its checksums tell."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (BadZipFile, EOFError, KeyError, OSError, ValueError):
        return None
