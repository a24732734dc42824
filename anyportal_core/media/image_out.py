"""Images through OpenImageIO, written as they are described, with the reason where that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from anyportal_core.errors import StorageError
from anyportal_core.media.output import storage_errors


def write_image(kind: str, part: Path, path: Path, spec: oiio.ImageSpec, pixels: NDArray[Any]) -> None:
    """Write pixels ``(H, W)`` or ``(H, W, C)``, of the number type that ``spec`` has, to a file.

    Args:
        kind: OpenImageIO's name of the format.
        part: where it is written.
        path: what the file will be called, for errors.

    Raises:
        DiskFullError, StorageError: it could not be written.
    """
    stored = pixels[..., None] if pixels.ndim == 2 else pixels  # two axes are taken for columns and channels
    file: Any = oiio.ImageOutput.create(kind)
    fine = file.open(str(part), spec) and file.write_image(np.ascontiguousarray(stored))
    said = file.geterror()
    closed = file.close()
    said = said or file.geterror()
    if fine and closed and not said:
        return
    with storage_errors(path), part.open("ab") as probe:
        # The library tells no reason that could be told apart: one more write gets the system's own.
        probe.write(bytes(1 << 16))
    raise StorageError(
        f"the {kind.upper()} cannot be written ({said.strip()})", where=str(path), hint="check the folder"
    )
