"""OpenColorIO: opening configurations, and pixels through the spaces that they name.

Which processors are used decides what is exact: ``OPTIMIZATION_LOSSLESS`` joins what can be joined without loss, and
neither approximates powers and logarithms nor the inverses of tables.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as ocio

from anyportal_core.errors import AnyPortalError, MediaNotFoundError, MediaUnreadableError, unknown_name
from anyportal_core.frames import Image
from anyportal_core.media.primaries import Matrix, Primaries, primaries_by_matrix

DEFAULT_CONFIG = "studio-config-v4.0.0_aces-v2.0_ocio-v2.5"
"""Not the latest one: a newer library must not change the pixels of a recipe."""

_NEWEST = ("default", "cg-config-latest", "studio-config-latest")
_EXTENSIONS = (".ocio", ".ocioz")
_QUOTED = re.compile(r"'([^']+)'")

ocio.SetLoggingLevel(ocio.LOGGING_LEVEL_NONE)
# It would go before the flags below, and change pixels from one machine to the next.
ocio.UnsetEnvVariable(ocio.OCIO_OPTIMIZATION_FLAGS_ENVVAR)


@dataclass(frozen=True)
class Space:
    """A colour space of a configuration whose curve is none of the standards': a camera's log, a display, a table.

    Args:
        name: the configuration's own.
        digest: of what the configuration does with its pixels, tables included; not of where its files lie.
        light: the primaries of the configuration's ``scene_linear``, which results are delivered in.
        sdr: whether the configuration calls it an SDR display's.
    """

    name: str
    digest: str
    light: Primaries
    sdr: bool = False


# Space to (to light, from light). What a space does is known by its digest: it stays when files change later.
_processors: dict[Space, tuple[Any, Any]] = {}


def decode(pixels: Image, space: Space) -> Image:
    """Code values ``(..., 3)`` of a space as light: of its own primaries where these are known, else of ``light``."""
    return applied(_processors[space][0], pixels)


def encode(light: Image, space: Space) -> Image:
    """The inverse of ``decode``."""
    return applied(_processors[space][1], light)


def applied(processor: Any, pixels: Image) -> Image:
    """A copy of ``(..., 3)`` pixels sent through a processor."""
    made = np.array(pixels, np.float32, order="C", copy=True)
    if made.size:
        processor.apply(ocio.PackedImageDesc(made.reshape(-1, 3), made.size // 3, 1, 3))
    return made


class ColourConfig:
    """An opened configuration.

    Args:
        config: as the library has it.
        where: what to call it in errors.
    """

    def __init__(self, config: Any, where: str) -> None:
        self._config, self.where = config, where

    @property
    def library(self) -> Any:
        """The configuration as the library has it."""
        return self._config

    def find(self, name: str) -> str | None:
        """The space's own name for a name, an alias or a role, in any case; inactive spaces too."""
        found = self._config.getColorSpace(name)
        return str(found.getName()) if found is not None else None

    def names(self) -> list[str]:
        """Of all active spaces."""
        return list(self._config.getColorSpaceNames())

    def spellings(self) -> Iterator[tuple[str, str]]:
        """Every name and alias of every space, with the space's own name."""
        every = self._config.getColorSpaceNames(ocio.SEARCH_REFERENCE_SPACE_ALL, ocio.COLORSPACE_ALL)
        for name in every:
            yield name, name
            for alias in self._config.getColorSpace(name).getAliases():
                yield alias, name

    def has_role(self, role: str) -> bool:
        return bool(self._config.hasRole(role))

    def is_data(self, name: str) -> bool:
        """Whether a space holds numbers that are no colours."""
        return bool(self._config.getColorSpace(name).isData())

    def processor(self, source: str, target: str) -> Any:
        """From one space or role to another.

        Raises:
            MediaNotFoundError, MediaUnreadableError: a table of theirs is not there, or cannot be used.
        """
        try:
            return _exact(self._config.getProcessor(source, target))
        except ocio.ExceptionMissingFile as error:
            table = _QUOTED.search(str(error))
            raise MediaNotFoundError(
                f"the table '{table.group(1) if table else '?'}' of colour space '{source}' is missing",
                where=self.where,
                hint="put it where the configuration's search path leads, or give an archive (ocioarchive makes one)",
            ) from error
        except ocio.Exception as error:
            # The library would quote lines of the table, which may be any file of this machine.
            table = _QUOTED.search(str(error).partition("\n")[0])
            raise MediaUnreadableError(
                f"colour space '{source}' cannot be converted to '{target}' "
                f"({Path(table.group(1)).name if table else 'its transform'} cannot be used)",
                where=self.where,
                hint="check the configuration with ociocheck",
            ) from error

    def space(self, name: str, light: Matrix) -> tuple[Space, Primaries]:
        """A space that is ready for ``decode`` and ``encode``, and the primaries of the light between these.

        A camera's log is a curve and then a matrix. The matrix is left out: in single precision it mixes so much of a
        bright channel into a dark one that the way back would miss code values of 16 bits.

        Args:
            light: from ``scene_linear`` to ACES2065-1.
        """
        curve, matrix = self._split(name)
        ways = (
            (self._ready(curve, ocio.TRANSFORM_DIR_FORWARD), self._ready(curve, ocio.TRANSFORM_DIR_INVERSE))
            if curve is not None
            else (self.processor(name, "scene_linear"), self.processor("scene_linear", name))
        )
        said = "\n".join([*(way.getCacheID() for way in ways), str(np.round(light @ matrix, 6).tolist())])
        digest = hashlib.sha256(said.encode()).hexdigest()[:32]
        sdr = self._config.getColorSpace(name).getEncoding() == "sdr-video"
        space = Space(name, digest, primaries_by_matrix(light), sdr)
        _processors.setdefault(space, ways)
        return space, primaries_by_matrix(light @ matrix)

    def _split(self, name: str) -> tuple[Any, Matrix]:
        """What a space does before its last matrix, and that; nothing and no matrix where that cannot be undone."""
        whole = self._config.getProcessor(name, "scene_linear")
        joined = whole.getOptimizedProcessor(ocio.BIT_DEPTH_F32, ocio.BIT_DEPTH_F32, ocio.OPTIMIZATION_LOSSLESS)
        steps = list(joined.createGroupTransform())
        if any(isinstance(step, ocio.Lut3DTransform) for step in steps):
            return None, np.eye(3)  # exact inverses of these take minutes: the configuration has one of its own
        if not isinstance(steps[-1], ocio.MatrixTransform):
            return ocio.GroupTransform(steps), np.eye(3)
        last = steps[-1]
        matrix = np.reshape(last.getMatrix(), (4, 4))[:3, :3]
        if any(last.getOffset()) or last.getDirection() != ocio.TRANSFORM_DIR_FORWARD:
            return ocio.GroupTransform(steps), np.eye(3)
        return ocio.GroupTransform(steps[:-1]), matrix

    def _ready(self, transform: Any, direction: Any) -> Any:
        return _exact(self._config.getProcessor(transform, direction))


def _exact(processor: Any) -> Any:
    return processor.getOptimizedCPUProcessor(ocio.BIT_DEPTH_F32, ocio.BIT_DEPTH_F32, ocio.OPTIMIZATION_LOSSLESS)


def open_config(name: str = "") -> ColourConfig:
    """A configuration by the name of a built-in one, by path, or ``$OCIO``: what that variable says.

    Files are read anew every time, since they, and the tables beside them, may have changed.

    Raises:
        UnknownNameError: no built-in configuration is called that.
        MediaNotFoundError, MediaUnreadableError: no such file, or no configuration.
    """
    if name == "$OCIO":
        name = os.environ.get("OCIO", "")
        if not name:
            raise MediaNotFoundError(
                "the variable OCIO is not set", where="colour_config", hint="give the configuration's path"
            )
    name = name.removeprefix("ocio://")
    if name.lower().endswith(_EXTENSIONS) or "/" in name or "\\" in name:
        return _from_file(Path(name))
    return _built_in(name or DEFAULT_CONFIG)


@lru_cache
def _built_in(name: str) -> ColourConfig:
    known = [found[0] for found in ocio.BuiltinConfigRegistry().getBuiltinConfigs()]
    if name not in known and name not in _NEWEST:
        raise unknown_name("colour configuration", name, [*known, *_NEWEST], where="colour_config")
    return ColourConfig(ocio.Config.CreateFromBuiltinConfig(f"ocio://{name}" if name in _NEWEST else name), name)


def _from_file(path: Path) -> ColourConfig:
    if not path.is_file():
        raise MediaNotFoundError(
            "there is no such colour configuration", where=str(path), hint="give a file that ends in .ocio or .ocioz"
        )
    ocio.ClearAllCaches()
    try:
        config = ocio.Config.CreateFromFile(str(path))
        config.validate()
    except ocio.Exception as error:
        raise _unreadable(error, path) from error
    return ColourConfig(config, str(path))


def _unreadable(error: Exception, path: Path) -> AnyPortalError:
    said = " ".join(str(error).replace(f"'{path}' ", "").split())[:200]
    return MediaUnreadableError(
        f"the colour configuration cannot be read ({said})", where=str(path), hint="check it with ociocheck"
    )
