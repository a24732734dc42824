"""Which files a colour configuration refers to: it may have been sent by somebody who must not read this machine's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PyOpenColorIO as ocio

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media.ocio import open_config
from anyportal_core.media.ocio_bounds import check_before_opening, check_references, nodes, transforms_of

_FOREIGN = re.compile(r"^[/\\~]|^[A-Za-z]:|\.\.|[$%]")
"""At the root, above the archive, or wherever a variable of this machine says."""


def check_sent_config(config: Path) -> None:
    """Raise where a configuration refers to files that did not come with it, or asks too much of the machine.

    One that is plain text may refer to none; an archive (.ocioz) to those below its own root, by their plain paths.

    Raises:
        MediaUnreadableError: it does, or cannot be read.
    """
    check_before_opening(config)
    opened = open_config(str(config)).library
    check_references(opened, config)
    named = sorted(set(_files(opened)) | set(opened.getSearchPaths()))
    alone = config.suffix.lower() != ".ocioz"
    foreign = [name for name in named if name and (alone or _FOREIGN.search(name))]
    if foreign:
        raise MediaUnreadableError(
            f"the colour configuration refers to files outside it: {', '.join(foreign[:3])}",
            where=config.name,
            hint="send an archive (.ocioz) whose tables are named by paths inside it",
        )


def _files(config: Any) -> Iterator[str]:
    """What every file transform of a configuration names."""
    for kind, name in nodes(config):
        for transform in transforms_of(config, kind, name):
            yield from _in_transform(transform)


def _in_transform(transform: Any) -> Iterator[str]:
    if isinstance(transform, ocio.FileTransform):
        yield transform.getSrc()
    elif isinstance(transform, ocio.GroupTransform):
        for part in transform:
            yield from _in_transform(part)
