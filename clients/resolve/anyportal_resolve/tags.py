"""What is left on a clip: a colour to see, and a marker that says what was done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from anyportal_resolve.host import TimelineItem

COLOURS = ("Orange", "Apricot", "Yellow", "Lime", "Olive", "Green", "Teal", "Navy", "Blue", "Purple", "Violet", "Pink",
           "Tan", "Beige", "Brown", "Chocolate")  # fmt: skip
DONE = "Teal"
"""The colour of a clip that has a result."""
MARKER = "Purple"
_OURS = "anyportal"
_SCHEMA = 1
_LONGEST = 300


def tag_of(item: TimelineItem) -> Optional[Dict[str, Any]]:
    """What our marker on a clip says; None where there is none."""
    found = _ours(item)
    return found[-1][1] if found else None


def own_tag(item: TimelineItem) -> Optional[Dict[str, Any]]:
    """What our marker says of this very clip; None where there is none, or it was pasted along with a copy."""
    found = tag_of(item)
    return found if found and found.get("clip") == item.GetUniqueId() else None


def set_tag(item: TimelineItem, tag: Dict[str, Any], note: str) -> List[str]:
    """Mark a clip, in place of our earlier marker.

    Args:
        tag: kept in the marker's custom data, by which a rerun finds what is there.
        note: for a person.

    Returns:
        What Resolve did not do.
    """
    data = json.dumps(dict(tag, clip=item.GetUniqueId(), **{_OURS: _SCHEMA}), sort_keys=True)
    for text, _ in _ours(item):
        item.DeleteMarkerByCustomData(text)
    taken = {int(frame) for frame in item.GetMarkers() or {}}
    # Marker frames count from the clip's own first; one that is taken holds no second marker.
    free = (frame for frame in range(int(item.GetDuration())) if frame not in taken)
    for frame in free:
        item.AddMarker(frame, MARKER, "AnyPortal " + tag.get("version", ""), note[:_LONGEST], 1, data)
        break
    problems = [] if any(text == data for text, _ in _ours(item)) else ["the marker was not set"]
    item.SetClipColor(DONE)
    if item.GetClipColor() != DONE:
        problems.append("the clip's colour was not set")
    return problems


def _ours(item: TimelineItem) -> List[Tuple[str, Dict[str, Any]]]:
    """Our markers: their custom data as they stand, and what they say."""
    found = []
    for marker in (item.GetMarkers() or {}).values():
        text = str(marker.get("customData") or "")
        try:
            said = json.loads(text)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get(_OURS) == _SCHEMA:
            found.append((text, said))
    return found
