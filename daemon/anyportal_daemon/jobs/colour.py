"""The OpenColorIO configuration of a job: checked, and asked what it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from anyportal.v1 import jobs_pb2
from anyportal_core.errors import ShotError
from anyportal_daemon.jobs.clips import blob_id, check_filename
from anyportal_daemon.storage.blobs import BlobId

_FIELD = "shot.colour_config"
_ENDINGS = (".ocio", ".ocioz")
_NAME = re.compile(r"[a-z][a-z0-9.-]*config[a-z0-9._-]*(?<!\.ocio)(?<!\.ocioz)")


def check_colour_config(shot: jobs_pb2.Shot) -> None:
    """Check what a shot says of its configuration, as far as that goes without its bytes.

    Raises:
        ShotError, BlobError: ``where`` is the path of the field at fault.
    """
    kind = shot.colour_config.WhichOneof("kind")
    # To OpenColorIO a path, or a variable that holds one, is as good as a name: nobody opens this machine's files so.
    if kind == "name" and not _NAME.fullmatch(shot.colour_config.name):
        raise ShotError("no configuration has such a name", where=f"{_FIELD}.name", hint="studio-config-latest is one")
    if kind == "file":
        file = shot.colour_config.file
        check_filename(file.filename, f"{_FIELD}.file.filename")
        if PurePosixPath(file.filename).suffix.lower() not in _ENDINGS:
            raise ShotError(
                f"'{file.filename}' is no OpenColorIO configuration",
                where=f"{_FIELD}.file.filename",
                hint="send an archive (.ocioz), or a configuration without files of its own (.ocio)",
            )
        blob_id(file.blob, f"{_FIELD}.file.blob")


def colour_blob(shot: jobs_pb2.Shot) -> Iterator[tuple[str, BlobId]]:
    """Field and blob of a shot's own configuration, where it brings one."""
    if shot.colour_config.WhichOneof("kind") == "file":
        field = f"{_FIELD}.file.blob"
        yield field, blob_id(shot.colour_config.file.blob, field)
