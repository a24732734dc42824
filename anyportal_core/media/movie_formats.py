"""Kinds of movies: the codec, its settings and container, what its codes mean, at which sizes, with which chroma."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import cv2

from anyportal_core.errors import ShotError
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.mastering import Mastering
from anyportal_core.media.shown import integer_encoding

# What x264 makes depends on its thread counts, and with several now and then on chance, so there is one; a short
# lookahead keeps the memory of five layers small.
THREADS = 1

# x264's code for AVX-512 reads memory that nobody has written: 10 different files in 20 runs were seen. Named are the
# kinds that every processor with AVX-512 has beside it.
_WITHOUT_AVX512 = "mmx2,sse2,sse2fast,ssse3,sse4.1,sse4.2,avx,fma3,bmi1,bmi2,avx2"
_CPU_AVX_512F = 13  # of cv::CpuFeatures, which have no names in Python
_ASM = f":asm={_WITHOUT_AVX512}" if cv2.checkHardwareSupport(_CPU_AVX_512F) else ""
# By itself it spends less on what moves and on what is dark: a foreground in the night lost its texture.
_EVEN = "mbtree=0:aq-mode=3:aq-strength=1.3"
_X264 = f"threads={THREADS}:lookahead-threads=1:sliced-threads=0:rc-lookahead=10:sync-lookahead=0:{_EVEN}{_ASM}"

# Without pools x265 starts no threads; it leaves AVX-512 alone unless told otherwise. Its note about itself names the
# kind of processor, so that is left out; every key frame can be cut at.
_X265 = "pools=none:frame-threads=1:rc-lookahead=10:info=0:open-gop=0:log-level=error"

_WORD = 32767
"""What surely fits into the 16 bits that QuickTime and ProRes have for a length."""

_PRORES = {"vendor": "apl0", "alpha_bits": "16"}


@dataclass(frozen=True)
class MovieFormat:
    """A kind of movie.

    Args:
        title: what people call it.
        container: of libav.
        codec: of libav, with its ``options``.
        tag: the four letters of the codec in the container, where they are not libav's choice.
        deep: whether codes always have 10 bits.
        full_range: whether codes may use all bits.
        least: the smallest width and height that the codec knows.
        most: the greatest width, and height.
        megapixels: that a picture has fewer of, as far as libav's encoder goes; 0: as many as fit.
        mastering: the option that holds what only the encoder knows, and its names for a display and for light.
        ahead: frames by which decoding goes ahead of showing, where the encoder cannot be trusted to say so.
        matrices: those that the codec can tell; every one of H.273 where left out.
    """

    title: str
    container: str
    codec: str
    options: Mapping[str, str]
    tag: str = ""
    deep: bool = True
    full_range: bool = False
    least: tuple[int, int] = (1, 1)
    most: int = 16384
    megapixels: int = 0
    mastering: tuple[str, ...] = ()
    ahead: int = 0
    matrices: frozenset[str] = field(default_factory=frozenset)


MOVIE_FORMATS = {
    "mp4": MovieFormat(
        "H.264",
        "mp4",
        "libx264",
        {"crf": "12", "preset": "veryfast", "x264-params": _X264},
        deep=False,
        full_range=True,
        mastering=("x264-params", "mastering-display", "cll"),
    ),
    "h265": MovieFormat(
        "H.265",
        "mp4",
        "libx265",
        {"crf": "12", "preset": "veryfast", "x265-params": _X265},
        tag="hvc1",  # parameter sets in the container's header: QuickTime plays no other HEVC
        full_range=True,
        least=(16, 16),
        mastering=("x265-params", "master-display", "max-cll"),
        ahead=2,  # of one or two frames, x265 gives times of decoding that it never set
    ),
    "prores": MovieFormat("ProRes 422 HQ", "mov", "prores_ks", {**_PRORES, "profile": "hq"}, most=_WORD),
    "prores4444": MovieFormat("ProRes 4444", "mov", "prores_ks", {**_PRORES, "profile": "4444"}, most=_WORD),
    "dnxhr": MovieFormat(
        "DNxHR",
        "mov",
        "dnxhd",
        {"profile": "dnxhr_hqx"},
        least=(256, 120),
        megapixels=67,
        matrices=frozenset({"bt709", "bt2020"}),
    ),
}


def movie_encoding(info: ClipInfo, form: str, wanted: Encoding | None = None) -> Encoding:
    """What a movie's codes mean: the plate's own where it is a movie; else video range, BT.709 or BT.2020 matrix.

    Args:
        wanted: what results are asked to be in, in place of the plate's own encoding.
    """
    kind = MOVIE_FORMATS[form]
    plate = integer_encoding(wanted or info.encoding)
    if plate.transfer == "cineon" and wanted is None:
        plate = replace(plate, transfer="srgb")
    matrix, full_range = plate.matrix, plate.full_range
    foreign = plate.primaries != info.encoding.primaries  # whose matrix would be the plate's, not theirs
    if matrix == "rgb" or foreign or (kind.matrices and matrix not in kind.matrices):
        matrix = "bt2020" if plate.primaries == "bt2020" else "bt709"
        full_range = full_range and plate.matrix != "rgb"
    # H.264 of 10 bits is played by few, so a still's depth alone is no reason; steps of 8 bits show in HDR.
    deep = kind.deep or (info.kind == "movie" and plate.bits > 8) or plate.transfer in ("pq", "hlg")
    return replace(plate, matrix=matrix, full_range=full_range and kind.full_range, bits=10 if deep else 8)


def layout_of(form: str, size: tuple[int, int], bits: int, alpha: bool) -> str:
    """The planes of libav: chroma at half size where the size is even, else at full size, so that no pixel is lost.

    Args:
        size: height and width.
    """
    if alpha:
        return "yuva444p10le"
    height, width = size
    if form == "prores4444":
        return "yuv444p10le"
    if MOVIE_FORMATS[form].container == "mov":
        return "yuv444p10le" if width % 2 else "yuv422p10le"
    return f"yuv{'444' if height % 2 or width % 2 else '420'}p{'10le' if bits == 10 else ''}"


def codec_options(form: str, layout: str, mastering: Mastering) -> dict[str, str]:
    """The settings of the codec for a layout of planes; ProRes and DNxHR do not tell how a picture was mastered."""
    kind = MOVIE_FORMATS[form]
    options = dict(kind.options)
    if "444" in layout and form in ("prores", "dnxhr"):
        options["profile"] = "4444" if form == "prores" else "dnxhr_444"
    if kind.mastering:
        name, *keys = kind.mastering
        told = zip(keys, (mastering.display, mastering.light), strict=True)
        options[name] += "".join(f":{key}={value}" for key, value in told if value)
    return options


def check_size(form: str, width: int, height: int) -> None:
    """Refuse a format that cannot hold pictures of a size.

    Raises:
        ShotError: with what can hold them.
    """
    kind = MOVIE_FORMATS.get(form)
    if kind is None:
        return
    held = width >= kind.least[0] and height >= kind.least[1] and max(width, height) <= kind.most
    if held and (not kind.megapixels or width * height < kind.megapixels * 1_000_000):
        return
    limits = "{}x{} to {most}x{most}".format(*kind.least, most=kind.most)
    limits += f" of less than {kind.megapixels} megapixels" if kind.megapixels else ""
    raise ShotError(
        f"{kind.title} holds pictures from {limits}, and the plate has {width}x{height}",
        where="delivery.format",
        hint="choose prores, prores4444 or a sequence" if kind.most < _WORD else "choose a sequence",
    )
