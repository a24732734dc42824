"""Which channels of an image file are the picture: a file may hold many, in layers and parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anyportal_core.errors import MediaUnreadableError

_COLOURS = (("r", "g", "b"), ("red", "green", "blue"))
_GREYS = ("y", "l", "i")
_NO_GREY = frozenset({"ry", "x", "z"})
"""Beside them Y is luminance of which chroma is the rest, or a coordinate."""

_NO_COLOURS = frozenset({"uint", "uint32", "int", "int32"})
_ALPHAS = ("a", "alpha")
_ANY_COLOUR = frozenset(name for triple in _COLOURS for name in triple)
_NAMED = 8
"""Channels that a message names at most."""

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
        MediaUnreadableError: no picture: what there is instead is said.
    """
    many = file.seek_subimage(1, 0)
    found: list[tuple[int, Channels]] = []
    names: list[str] = []
    deep, part = False, 0
    while file.seek_subimage(part, 0):
        spec = file.spec(part, 0)
        deep |= bool(spec.deep)
        names += spec.channelnames
        if not spec.deep:
            found += _pictures(spec, part, str(spec.getattribute("oiio:subimagename") or "") if many else "")
        part += 1
    if not found:
        what, hint = _what_instead(names, deep)
        raise MediaUnreadableError(what, where=str(path), hint=hint)
    rank, best = min(found, key=lambda one: (one[0], one[1].part, one[1].layer.lower()))
    return best if rank and len(found) > 1 else replace(best, layer="")


def _what_instead(names: list[str], deep: bool) -> tuple[str, str]:
    """Why there is no picture, and what to do."""
    if deep:
        what = "the image is deep: it has many samples a pixel, and no colours before they are merged"
        return what, "flatten it (in Nuke: DeepToImage), and write R, G, B (and A)"
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(name.rpartition(".")[0], []).append(name.rpartition(".")[2].lower())
    if any("ry" in channels for channels in layers.values()):
        return "the image is luminance and chroma (Y, RY, BY)", "write R, G, B (and A)"
    if any(set(triple) <= set(channels) for triple in _COLOURS for channels in layers.values()):
        what = "the image's red, green and blue are whole numbers of 32 bits (UINT), as ids are, and no colours"
        return what, "write them as half or float"
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"the image has no channels red, green and blue: it has {listed}", _nearest(layers)


def _nearest(layers: Mapping[str, list[str]]) -> str:
    """What to do, naming the layer that has most of a picture's channels."""
    colours = {layer: [name for name in channels if name in _ANY_COLOUR] for layer, channels in layers.items()}
    layer, there = max(colours.items(), key=lambda each: len(each[1]))
    if not there:
        return "write R, G, B (and A)"
    where = f"layer '{layer}'" if layer else "plain layer"
    return f"write R, G, B (and A); the nearest is the {where}, with {', '.join(there[:_NAMED]).upper()}"


def _pictures(spec: Any, part: int, title: str) -> Iterator[tuple[int, Channels]]:
    """The pictures in a part called ``title``, each with its rank: the lower, the more it is what one sees."""
    names = [name.lower() for name in spec.channelnames]
    for layer in {name.rpartition(".")[0] for name in spec.channelnames}:
        where = _in_layer(names, f"{layer.lower()}." if layer else "")
        if where is not None and str(_format_of(spec, where[0][0])) not in _NO_COLOURS:
            named = (2 if _is_beauty(layer) else 3) if layer else int(not (title == "" or _is_beauty(title)))
            grey = len(set(where[0])) == 1
            yield named + (4 if grey and named else 0), Channels(part, *where, layer or title)


def _format_of(spec: Any, channel: int) -> Any:
    return spec.channelformats[channel] if spec.channelformats else spec.format


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
    if grey is not None and not where.keys() & _NO_GREY:
        return [grey] * 3, alpha
    return ([0, 0, 0], None) if len(names) == 1 else None
