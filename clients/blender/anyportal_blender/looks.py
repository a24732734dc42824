"""How a strip looks: everything but its media, its place and its name, from one strip to another."""

from __future__ import annotations

from typing import Any

from . import compat

# What belongs to the media or to the person, not to the look.
_OWN = {
    "name", "channel", "type", "select", "select_left_handle", "select_right_handle", "lock", "mute", "filepath",
    "directory", "elements", "input_count", "color_tag", "proxy", "use_proxy", "stream_index", "color_balance",
    "views_format", "use_multiview", "use_deinterlace", "use_reverse_frames", "strobe", "rna_type",
    "show_retiming_keys",
}  # fmt: skip
# Of a strip that Blender rendered all else is in the pictures already.
_OVER_OTHERS = {"blend_type", "blend_alpha", "effect_fader", "use_default_fade"}


def copy(source: Any, target: Any, rendered: bool, colours: bool) -> None:
    """Make one strip look as another.

    Args:
        rendered: the pictures show already what the strip did to them: only how it lies over others is copied.
        colours: the media of both hold their colours alike.
    """
    for prop in source.bl_rna.properties:
        name = prop.identifier
        if name in _OWN or compat.is_time(name) or not hasattr(target, name):
            continue
        if rendered and name not in _OVER_OTHERS:
            continue
        if name == "colorspace_settings":
            if colours:
                target.colorspace_settings.name = source.colorspace_settings.name
        elif prop.type == "POINTER":
            _copy_group(getattr(source, name), getattr(target, name))
        elif not target.is_property_readonly(name) and prop.type != "COLLECTION":
            setattr(target, name, _value(source, name))


def copy_animation(scene: Any, source: Any, target: Any, rendered: bool) -> int:
    """Copy the curves that animate a strip to another; gives how many.

    They are the scene's, under the strip's name.
    """
    curves = compat.curves_of(scene)
    start, end = source.path_from_id(), target.path_from_id()
    found = [curve for curve in curves or () if curve.data_path.startswith(f"{start}.")]
    wanted = [curve for curve in found if not rendered or curve.data_path[len(start) + 1 :] in _OVER_OTHERS]
    for curve in wanted:
        compat.copy_curve(curves, curve, end + curve.data_path[len(start) :])
    return len(wanted)


def _copy_group(source: Any, target: Any) -> None:
    """A group of properties that belongs to the strip itself, such as its transform; what is shared is left alone."""
    if source is None or target is None or source.id_data is not target.id_data or hasattr(source, "users"):
        return
    for prop in source.bl_rna.properties:
        if not target.is_property_readonly(prop.identifier) and prop.type not in ("POINTER", "COLLECTION"):
            setattr(target, prop.identifier, _value(source, prop.identifier))


def _value(owner: Any, name: str) -> Any:
    value = getattr(owner, name)
    return value[:] if hasattr(value, "__len__") and not isinstance(value, (str, set)) else value
