"""What is delivered and how: no part of the recipe or its digest."""

from __future__ import annotations

from dataclasses import dataclass

from anyportal_core.errors import RecipeError, unknown_name

LAYERS = ("comp", "foreground", "background", "matte", "gain", "clean_plate", "shadow", "wrap")
"""The last three are made on request alone."""

FORMATS = ("auto", "mp4", "h265", "prores", "prores4444", "dnxhr", "png", "tiff", "exr")
"""H.264 and H.265 in MP4; ProRes 422 HQ, ProRes 4444 and DNxHR in QuickTime; sequences of images."""

COMPRESSIONS = ("zip", "piz", "none", "dwab")


@dataclass(frozen=True)
class Delivery:
    """Layers and format of the result.

    Args:
        layers: of LAYERS, each once, in any order; they are kept in the order of LAYERS.
        format: ``auto`` gives a movie for a movie and a sequence for a sequence.
        compression: of EXR files; other formats have no choice.
        colour_space: of the results, by its name in the shot's colour configuration; empty: the plate's own, in EXR
            the scene-linear one that belongs to it.

    Raises:
        UnknownNameError: a layer, format or compression that does not exist.
        RecipeError: no layer at all, or a compression for what is no EXR.
    """

    layers: tuple[str, ...] = ("comp",)
    format: str = "auto"
    compression: str = "zip"
    colour_space: str = ""

    def __post_init__(self) -> None:
        for layer in self.layers:
            if layer not in LAYERS:
                raise unknown_name("layer", layer, LAYERS, where="delivery.layers")
        if not self.layers:
            raise RecipeError("no layer is asked for", where="delivery.layers", hint="comp is the usual one")
        if self.format not in FORMATS:
            raise unknown_name("format", self.format, FORMATS, where="delivery.format")
        if self.compression not in COMPRESSIONS:
            raise unknown_name("compression", self.compression, COMPRESSIONS, where="delivery.compression")
        if self.compression != "zip" and self.format not in ("auto", "exr"):
            raise RecipeError(
                f"compression '{self.compression}' is for EXR, not for {self.format}",
                where="delivery.compression",
                hint="choose the format exr, or leave the compression out",
            )
        object.__setattr__(self, "layers", tuple(name for name in LAYERS if name in self.layers))
