"""How pixel values encode light: transfer curves, primaries, and the ways between them.

Everything works on R'G'B' (or RGB) float32 arrays whose last axis is colour. Ranges are extended: negative values
go through the mirrored curve and values above 1 survive, so that a conversion and its inverse cancel.

The rest of the project asks here alone. Curves of the standards, which video is tagged with, are ``transfer``'s; other
spaces go through OpenColorIO (``ocio``), by the names of a configuration (``spaces``). ``docs/colour.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from anyportal_core.errors import ShotError
from anyportal_core.frames import Image
from anyportal_core.media import ocio, shaper, spaces, transfer
from anyportal_core.media.ocio import Space
from anyportal_core.media.primaries import (
    CHROMATICITIES,
    Gamut,
    Primaries,
    chromaticities,
    matrix_between,
    primaries_of,
    transformed,
)

__all__ = [
    "CHROMATICITIES",
    "LINEAR",
    "SRGB",
    "Encoding",
    "Gamut",
    "Primaries",
    "Space",
    "brightened",
    "chromaticities",
    "convert",
    "from_display",
    "from_linear",
    "is_display_referred",
    "light_of",
    "named",
    "output_encoding",
    "primaries_of",
    "require_colours",
    "to_display",
    "to_linear",
]


@dataclass(frozen=True)
class Encoding:
    """What the numbers of a clip mean.

    Args:
        transfer: ``srgb``, ``bt709``, ``linear``, ``pq``, ``hlg``, ``gamma18``, ``gamma22``, ``gamma24``, ``gamma26``,
            ``gamma28``, ``cineon``; ``data`` of what are no colours; or a space of a colour configuration.
        primaries: of the light that the curve leads to: ``bt709``, ``bt2020``, ``bt601-525``, ``bt601-625``, ``p3``
            (white D65), ``p3-dci``, ``ap0``, ``ap1``; or, for others, their chromaticities: ``x, y`` of red, green,
            blue and white.
        matrix: ``bt601``, ``bt709``, ``bt2020``, ``smpte240m``, ``fcc``, or ``rgb`` where the file holds RGB.
        full_range: whether code values use all bits (else the video range 16..235 of 8 bit).
        bits: bits a channel in the file; 16 for half and 32 for float.
    """

    transfer: str | Space = "srgb"
    primaries: Primaries = "bt709"
    matrix: str = "rgb"
    full_range: bool = True
    bits: int = 8


SRGB = Encoding()
LINEAR = Encoding(transfer="linear", bits=16)

# A code value of these means the same light on the same monitor, which is how editing hosts treat video and
# stills side by side: 8-bit BT.709 video is graded by eye on a monitor, so it is display-referred already.
_DISPLAY_REFERRED = frozenset({"srgb", "bt709", "gamma18", "gamma22", "gamma24", "gamma26", "gamma28"})

# Pixels that go the whole way at a time: what lies between stays small.
_STRIPE = 1 << 17

Step = Callable[[Image], Image]


def to_linear(pixels: Image, encoding: Encoding) -> Image:
    """Light ``(..., 3)`` float32, proportional to the scene's or the display's, 1 = diffuse white, same primaries.

    The very object comes back where the encoding is linear.
    """
    return pixels if encoding.transfer == "linear" else _through(pixels, [_decoding(encoding)])


def from_linear(pixels: Image, encoding: Encoding) -> Image:
    """The inverse of ``to_linear``: light with the encoding's primaries to its code values, not clamped."""
    return pixels if encoding.transfer == "linear" else _through(pixels, [_encoding(encoding)])


def brightened(pixels: Image, log_gain: Image, encoding: Encoding) -> Image:
    """Code values whose light is ``exp(log_gain)`` times that of ``pixels``, both ``(..., 3)``; contiguous or not."""
    curve = encoding.transfer
    if isinstance(curve, str):
        return transfer.brightened(np.ascontiguousarray(pixels), log_gain, curve)
    return from_linear(to_linear(pixels, encoding) * np.exp(log_gain), encoding)


def light_of(encoding: Encoding) -> Encoding:
    """What results are in that hold light: the encoding itself where it is linear, else the same primaries' light.

    Of a space of a configuration, that one's ``scene_linear``: of a camera's log by default ACEScg.
    """
    curve = encoding.transfer
    primaries = curve.light if isinstance(curve, Space) else encoding.primaries
    return encoding if curve == "linear" else replace(encoding, transfer="linear", primaries=primaries)


def convert(pixels: Image, source: Encoding, target: Encoding) -> Image:
    """Code values of ``source`` as code values of ``target``, ``(..., 3)`` float32, not clamped.

    Matrix, range and bits belong to the file, not to the picture, and change nothing. Between two
    display-referred curves the code values are carried over (see ``to_display``). The very object comes
    back when there is nothing to do.
    """
    steps = _steps(source, target)
    return _through(pixels, steps) if steps else pixels


def to_display(pixels: Image, encoding: Encoding) -> Image:
    """Display-referred sRGB, ``(..., 3)`` float32, within 0..1: what the models and a monitor are shown.

    Scene-linear, log, PQ and HLG pixels go through light (diffuse white = 1) to the plain sRGB curve; values above
    0.8 roll off and never reach 1 (see ``shaper``). BT.709 and other SDR video is display-referred already: its code
    values are kept, as hosts show them, only foreign primaries are converted, and what is brighter than white clips.
    """
    if is_display_referred(encoding):
        return np.clip(pixels if isinstance(encoding.transfer, Space) else convert(pixels, encoding, SRGB), 0, 1)
    shown = shaper.rolled(convert(pixels, encoding, SRGB))
    return np.maximum(shown, 0, out=shown)


def from_display(pixels: Image, encoding: Encoding) -> Image:
    """Undoes ``to_display``: pictures of a plate as code values of its ``encoding``, ``(..., 3)`` float32.

    Values below 0, which no model makes, come back negative. Not for pictures that were painted or photographed
    elsewhere: their white is white, and ``convert`` from ``SRGB`` is their way in.
    """
    if is_display_referred(encoding):
        return pixels if isinstance(encoding.transfer, Space) else convert(pixels, SRGB, encoding)
    return convert(shaper.unrolled(np.array(pixels, np.float32, order="C")), SRGB, encoding)


def is_display_referred(encoding: Encoding) -> bool:
    """Whether code values say what a monitor shows, rather than what light a scene had."""
    curve = encoding.transfer
    return curve.sdr if isinstance(curve, Space) else curve in _DISPLAY_REFERRED


def named(colour_space: str, file: Encoding, config: str = "", where: str = "colour_space") -> Encoding:
    """The file's encoding with transfer and primaries replaced by a colour space given by name.

    Args:
        colour_space: a name, alias or role of the configuration; or a short name or a host's (``space_names``).
        file: what the file says.
        config: of colours, see ``ocio.open_config``.
        where: the field that errors name.

    Raises:
        UnknownNameError: nobody knows the name; the hint offers the nearest.
        MediaNotFoundError, MediaUnreadableError: the configuration, or a table of it, cannot be read.
        ShotError: the configuration does not say what its light is.
    """
    curve, primaries = spaces.understood(colour_space, config, where)
    return replace(file, transfer=curve, primaries=primaries)


def output_encoding(plate: Encoding, colour_space: str, config: str = "") -> Encoding:
    """What results are encoded in that are asked for in a space by name.

    ``convert`` leads there from the plate's; it gives the very object where they are the same.

    Raises:
        as ``named``, and ShotError for a space of data.
    """
    wanted = named(colour_space, plate, config, "delivery.colour_space")
    require_colours(wanted, "delivery.colour_space")
    return wanted


def require_colours(encoding: Encoding, where: str) -> None:
    """Raise ShotError where pixels are said to be data, which no picture can be made of."""
    if encoding.transfer == transfer.DATA:
        raise ShotError("the colour space holds data, no colours", where=where, hint="say which colours the pixels are")


def _steps(source: Encoding, target: Encoding) -> list[Step]:
    """What leads from one encoding to another; nothing where they mean the same."""
    known = isinstance(source.transfer, str) and isinstance(target.transfer, str)
    alike = known and {source.transfer, target.transfer} <= _DISPLAY_REFERRED
    same_curve = source.transfer == target.transfer or alike
    if same_curve and source.primaries == target.primaries:
        return []
    if alike:  # light for the primaries alone: one curve there and back, the same in both directions
        curve = min(str(source.transfer), str(target.transfer))
        source, target = replace(source, transfer=curve), replace(target, transfer=curve)
    if source.primaries == target.primaries:
        return [_decoding(source), _encoding(target)]
    matrix = matrix_between(source.primaries, target.primaries)
    return [_decoding(source), partial(transformed, matrix=matrix), _encoding(target)]


def _decoding(encoding: Encoding) -> Step:
    curve = encoding.transfer
    return partial(ocio.decode, space=curve) if isinstance(curve, Space) else partial(transfer.decode, name=curve)


def _encoding(encoding: Encoding) -> Step:
    curve = encoding.transfer
    return partial(ocio.encode, space=curve) if isinstance(curve, Space) else partial(transfer.encode, name=curve)


def _through(pixels: Image, steps: Sequence[Step]) -> Image:
    """New pixels ``(..., 3)``, made by all steps."""
    flat = pixels.reshape(-1, 3)
    made = np.empty(flat.shape, np.float32)
    for start in range(0, len(flat), _STRIPE):
        part = flat[start : start + _STRIPE]
        for step in steps:
            part = step(part)
        made[start : start + _STRIPE] = part
    return made.reshape(pixels.shape)
