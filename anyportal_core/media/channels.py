"""Which channels of an image file are the picture: a file may hold many, in layers and parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anyportal_core.errors import MediaUnreadableError

_COLOURS = (("r", "g", "b"), ("red", "green", "blue"))
_GREYS = ("y", "l", "i")
_ALPHAS = ("a", "alpha")
_BEAUTY = frozenset({"rgba", "rgb", "beauty", "combined", "composite", "main"})


@dataclass(frozen=True)
class Channels:
    """Where in a file a picture is.

    Args:
        part: of the file; "subimage" to OpenImageIO.
        colours: the channels of red, green and blue; grey thrice.
        alpha: its channel.
        layer: the layer's or part's name; empty where there is no other picture it could be mistaken for.
    """

    part: int
    colours: list[int]
    alpha: int | None
    layer: str


def find_channels(file: Any, path: Path) -> Channels:
    """The picture in an open file.

    Plain ``R, G, B`` go first, those of a beauty part before those of other parts; then a beauty layer, then other
    layers, colour before grey, in the order of parts and names.

    Raises:
        MediaUnreadableError: no picture, or one of luminance and chroma.
    """
    many = file.seek_subimage(1, 0)
    found: list[tuple[int, Channels]] = []
    chroma, part = False, 0
    while file.seek_subimage(part, 0):
        spec = file.spec(part, 0)
        found += _pictures(spec, part, str(spec.getattribute("oiio:subimagename") or "") if many else "")
        chroma |= "ry" in (name.lower().rpartition(".")[2] for name in spec.channelnames)
        part += 1
    if not found:
        what = "is luminance and chroma (Y, RY, BY)" if chroma else "has no channels red, green and blue"
        raise MediaUnreadableError(f"the image {what}", where=str(path), hint="write R, G, B (and A)")
    rank, best = min(found, key=lambda one: (one[0], one[1].part, one[1].layer.lower()))
    return best if rank and len(found) > 1 else replace(best, layer="")


def _pictures(spec: Any, part: int, title: str) -> Iterator[tuple[int, Channels]]:
    """The pictures in a part called ``title``, each with its rank: the lower, the more it is what one sees."""
    names = [name.lower() for name in spec.channelnames]
    for layer in {name.rpartition(".")[0] for name in spec.channelnames}:
        where = _in_layer(names, f"{layer.lower()}." if layer else "")
        if where is not None:
            named = (2 if _is_beauty(layer) else 3) if layer else int(not (title == "" or _is_beauty(title)))
            grey = len(set(where[0])) == 1
            yield named + (4 if grey and named else 0), Channels(part, *where, layer or title)


def _is_beauty(layer: str) -> bool:
    """Whether a layer is called as renderers call the finished picture, such as ``ViewLayer.Combined``."""
    return layer.lower().rpartition(".")[2] in _BEAUTY


def _in_layer(names: list[str], prefix: str) -> tuple[list[int], int | None] | None:
    """The channels of colour and alpha among lower-case ``names`` with a prefix."""
    where = {name.removeprefix(prefix): i for i, name in enumerate(names) if name.startswith(prefix)}
    alpha = next((where[name] for name in _ALPHAS if name in where), None)
    for triple in _COLOURS:
        if all(name in where for name in triple):
            return [where[name] for name in triple], alpha
    grey = next((where[name] for name in _GREYS if name in where), None)
    if grey is not None and "ry" not in where:
        return [grey] * 3, alpha
    return ([0, 0, 0], None) if len(names) == 1 else None
