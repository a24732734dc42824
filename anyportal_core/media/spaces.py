"""What a colour space given by name means: the curve of a standard and its primaries, or a space of a configuration.

A space is not taken for what its name says, but for what the configuration does with it: where that is a standard's
curve and a matrix, it is told as those, so that such pixels are treated alike whoever named them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator

import numpy as np

from anyportal_core.errors import AnyPortalError, ShotError, UnknownNameError, unknown_name
from anyportal_core.frames import Image
from anyportal_core.media import ocio, transfer
from anyportal_core.media.ocio import ColourConfig, Space
from anyportal_core.media.primaries import Matrix, Primaries, matrix_to_aces, primaries_by_matrix, xyz_to_aces
from anyportal_core.media.space_names import IN_ACES, STANDARDS, letters

Meaning = tuple[str | Space, Primaries]
"""Transfer curve and the primaries of the light that it leads to."""

_CURVES = ("srgb", "bt709", "gamma18", "gamma22", "gamma24", "gamma26", "gamma28")
# Of light. The tables and matrices of configurations are rounded: Rec.709's white comes out as 1.00002, its curve as
# 1.099 instead of 1.0993. The next nearest curves are 0.02 apart.
_ALIKE = 3e-4
_LINEAR = 2e-5

_GREYS = np.repeat(np.linspace(0, 1, 33, dtype=np.float32)[:, None], 3, 1)
_COLOURS = np.random.default_rng(7).random((64, 3), np.float32)
_UNITS = np.eye(3, dtype=np.float32)


def understood(name: str, config: str = "", where: str = "colour_space") -> Meaning:
    """What a name means in a configuration (see ``ocio.open_config``), else as a short name or a host's.

    Raises:
        UnknownNameError: nobody knows it; the hint offers the nearest names of the configuration.
        MediaNotFoundError, MediaUnreadableError: the configuration, or a table of it, cannot be read.
        ShotError: the configuration does not say what its light is.
    """
    opened = ocio.open_config(name=config)
    found = _find(name, opened)
    if found is None and letters(name) in STANDARDS:
        return STANDARDS[letters(name)]
    if found is None:
        raise _unknown(name, opened, where)
    if opened.is_data(found):
        return transfer.DATA, "bt709"
    return _meaning(found, opened)


def _find(name: str, config: ColourConfig) -> str | None:
    """The configuration's name for what is meant: as it is, by letters and digits, or through what hosts call it."""
    exact = config.find(name)
    if exact is not None:
        return exact
    alike = {own for spelling, own in config.spellings() if letters(spelling) == letters(name)}
    if len(alike) == 1:
        return alike.pop()
    return config.find(IN_ACES[letters(name)]) if letters(name) in IN_ACES else None


def _meaning(name: str, config: ColourConfig) -> Meaning:
    if not config.has_role("scene_linear"):
        raise _lacking("scene_linear", config)
    light = _light(config)
    way = config.processor(name, "scene_linear")
    to_light: Callable[[Image], Image] = lambda pixels: ocio.applied(way, pixels)  # noqa: E731
    recognised = _recognised(to_light)
    if recognised is None:
        return config.space(name, light)
    curve, matrix = recognised
    return curve, primaries_by_matrix(light @ matrix)


def _light(config: ColourConfig) -> Matrix:
    """The matrix from a configuration's ``scene_linear`` to ACES2065-1."""
    if config.has_role("aces_interchange"):
        way = config.processor("scene_linear", "aces_interchange")
        matrix = _matrix(lambda pixels: ocio.applied(way, pixels))
    elif config.has_role("cie_xyz_d65_interchange"):
        way = config.processor("scene_linear", "cie_xyz_d65_interchange")
        matrix = _matrix(lambda pixels: ocio.applied(way, pixels))
        matrix = None if matrix is None else xyz_to_aces() @ matrix
    else:
        matrix = next(_guesses(config), None)
    if matrix is None:
        raise _lacking("aces_interchange", config)
    return matrix


def _guesses(config: ColourConfig) -> Iterator[Matrix]:
    """What ``scene_linear`` must be, as told by spaces that are called as a standard's and have its curve."""
    for spelling, name in config.spellings():
        curve, primaries = STANDARDS.get(letters(spelling), ("", ""))
        if curve not in (*_CURVES, "linear") or letters(spelling) == "linear":  # that may be any light
            continue
        try:
            way = config.processor(name, "scene_linear")
        except AnyPortalError:
            continue  # a table of it is missing: told where the space is wanted
        found = _recognised(lambda pixels, way=way: ocio.applied(way, pixels))  # type: ignore[misc]
        if found is not None and found[0] == curve:
            yield matrix_to_aces(primaries) @ np.linalg.inv(found[1])


def _recognised(to_light: Callable[[Image], Image]) -> tuple[str, Matrix] | None:
    """The standard's curve and the matrix that a way to light consists of; None where it is no such."""
    linear = _matrix(to_light)
    if linear is not None:
        return "linear", linear
    greys = to_light(_GREYS)
    if np.ptp(greys, axis=1).max() > _ALIKE:
        return None
    errors = {name: np.abs(greys - transfer.decode(_GREYS, name)).max() for name in _CURVES}
    curve = min(errors, key=lambda name: errors[name])
    matrix = to_light(_UNITS).T.astype(np.float64)
    through = transfer.decode(_COLOURS, curve) @ matrix.T
    if errors[curve] > _ALIKE or np.abs(through - to_light(_COLOURS)).max() > _ALIKE:
        return None
    return curve, matrix


def _matrix(to_light: Callable[[Image], Image]) -> Matrix | None:
    """The matrix that a way consists of, ``(3, 3)``; None where it is more, such as a curve, an offset or a clamp."""
    matrix = to_light(_UNITS).T.astype(np.float64)
    probes = np.concatenate([_COLOURS, -_COLOURS, 100 * _COLOURS, np.zeros((1, 3), np.float32)])
    errors = np.abs(to_light(probes) - probes @ matrix.T) / np.maximum(1, np.abs(probes).max(1, keepdims=True))
    return matrix if errors.max() < _LINEAR else None


def _unknown(name: str, config: ColourConfig, where: str) -> UnknownNameError:
    """Offers the spaces that have the nearest spelling, and those that have the name in theirs."""
    spellings = {letters(spelling): own for spelling, own in config.spellings()}
    asked, active = letters(name), set(config.names())
    near = [spellings[found] for found in difflib.get_close_matches(asked, spellings, n=6, cutoff=0.6)]
    near += [own for spelling, own in spellings.items() if len(asked) > 2 and asked in spelling]
    offered = [own for own in dict.fromkeys(near) if own in active][:4]
    if not offered:
        return unknown_name("colour space", name, active, where=where)
    message = unknown_name("colour space", name, ()).message
    return UnknownNameError(message, where=where, hint=f"did you mean {' or '.join(offered)}?")


def _lacking(role: str, config: ColourConfig) -> ShotError:
    return ShotError(
        f"the colour configuration does not say which light it works in (its role {role} is missing or not linear)",
        where=config.where,
        hint=f"give it a role {role}, or use a built-in configuration",
    )
