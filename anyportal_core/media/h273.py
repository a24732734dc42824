"""The colour tags of video streams (code points of ITU-T H.273) and the encodings they stand for."""

from __future__ import annotations

from typing import Any

from av.video.frame import VideoFrame

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media.encoding import Encoding

_PRIMARIES = {
    1: "bt709",
    5: "bt601-625",
    6: "bt601-525",
    7: "bt601-525",
    9: "bt2020",
    11: "p3-dci",
    12: "p3",
}
_TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "bt709",
    7: "bt709",
    8: "linear",
    11: "bt709",
    12: "bt709",
    13: "srgb",
    14: "bt709",
    15: "bt709",
    16: "pq",
    17: "gamma26",
    18: "hlg",
}
_MATRICES = {0: "rgb", 1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
UNSPECIFIED = 2
_FULL = 2


def encoding_of(frame: VideoFrame, context: Any, where: str) -> Encoding:
    """What a decoded frame's codes mean, by its own tags, else its stream's, else by habit.

    Untagged pictures are BT.601 below 720 lines and BT.709 from there on, of video range, as hosts assume;
    the primaries of an untagged picture are taken as BT.709's, as hosts do.

    Raises:
        MediaUnreadableError: a matrix that is no linear one (YCgCo, ICtCp, constant luminance).
    """

    layout = frame.format
    bits = layout.components[0].bits
    primaries = _PRIMARIES.get(_said(frame.color_primaries, context.color_primaries), "bt709")
    curve = _said(frame.color_trc, context.color_trc)
    spoken_range = int(frame.color_range) or int(context.color_range or 0)
    if layout.is_rgb:
        return Encoding(_TRANSFERS.get(curve, "srgb"), primaries, "rgb", spoken_range != 1, bits)
    grey = layout.name.startswith("gray") and not spoken_range  # libav takes grey of no stated range as full
    full = spoken_range == _FULL or layout.name.startswith("yuvj") or grey
    matrix = _matrix(_said(frame.colorspace, context.colorspace), frame.height, where)
    return Encoding(_TRANSFERS.get(curve, "bt709"), primaries, matrix, full, bits)


def _matrix(code: int, height: int, where: str) -> str:
    if code == UNSPECIFIED:
        return "bt709" if height >= 720 else "bt601"
    if code in _MATRICES:
        return _MATRICES[code]
    raise MediaUnreadableError(
        f"its colour matrix (code {code} of H.273) is not supported",
        where=where,
        hint="export it with BT.709 or BT.2020 non-constant luminance",
    )


def tags_of(encoding: Encoding) -> tuple[int, int, int, int]:
    """Primaries, transfer, matrix and range codes that say what an encoding is."""
    primaries = next((code for code, name in _PRIMARIES.items() if name == encoding.primaries), 2)
    transfer = next((code for code, name in _TRANSFERS.items() if name == encoding.transfer), 2)
    matrix = next(code for code, name in _MATRICES.items() if name == encoding.matrix)
    return primaries, transfer, matrix, _FULL if encoding.full_range else 1


def tag(target: Any, tags: tuple[int, int, int, int]) -> None:
    """Write primaries, transfer, matrix and range on a frame or a codec context."""
    target.color_primaries, target.color_trc, target.colorspace, target.color_range = tags


def colour_tags(frame: VideoFrame, context: Any) -> tuple[int, int]:
    """Primaries and transfer as tagged, unspecified where they are not."""
    return _said(frame.color_primaries, context.color_primaries), _said(frame.color_trc, context.color_trc)


def _said(own: int, stream: int | None) -> int:
    """The frame's code, or the stream's where the frame is silent."""
    return next((int(code) for code in (own, stream) if code not in (None, 0, UNSPECIFIED)), UNSPECIFIED)
