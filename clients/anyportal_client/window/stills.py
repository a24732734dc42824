"""Pictures of clips before and after, decoded where the files are."""

from __future__ import annotations

import threading
from functools import lru_cache

from anyportal_client.otio.thumbnails import thumbnails
from anyportal_client.window.state import Still

_BOX = (960, 540)
_DECODING = threading.Semaphore(2)
"""A page asks for all its pictures at once; the host beside it needs the processor."""


def still_of(still: Still) -> bytes | None:
    """A JPEG of a frame; None where it cannot be shown."""
    try:
        stamp = still.path.stat().st_mtime_ns
    except OSError:  # a pattern, or gone
        stamp = 0
    with _DECODING:
        try:
            return _decoded(still, stamp)
        except LookupError:
            return None


@lru_cache(maxsize=256)
def _decoded(still: Still, stamp: int) -> bytes:
    """The picture. What cannot be decoded raises, and is tried again: it may still be on its way."""
    return thumbnails(still.path, [still.frame], _BOX)[still.frame]
