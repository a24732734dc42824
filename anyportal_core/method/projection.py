"""The refinement projection: edit what a latent shows, and keep what of it only the latent knows.

AnyPortal (arXiv 2509.07472), refinement projection algorithm. A video codec is lossy: encoding a decoded
latent does not give that latent back. So the offset between the two, in units of the codec's own standard
deviation, is measured before the edit and put back after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from array_api_compat import array_namespace

LIMIT = 100.0
"""The offset is held within so many standard deviations, as in the published code."""


class Codec(Protocol):
    """Frames to latents and back."""

    def encode(self, frames: Any) -> tuple[Any, Any]:
        """Mean and standard deviation (not variance) of the latent's distribution, in the latent's scale."""
        ...

    def decode(self, latent: Any) -> Any: ...


class IdentityCodec:
    """Frames are their own latents: what is left of a codec where no model is."""

    def encode(self, frames: Any) -> tuple[Any, Any]:
        xp = array_namespace(frames)
        return frames, xp.ones_like(frames)

    def decode(self, latent: Any) -> Any:
        return latent


def project(latent: Any, edit: Callable[[Any], Any], codec: Codec, edited: Any) -> Any:
    """``latent`` moved to where it shows the edited frames.

    With ``z, s = encode(decode(latent))`` and ``z', s' = encode(edit(decode(latent)))`` the result is
    ``z' + s' * clamp((latent - z) / s)``. Where ``edited`` is false ``latent`` comes back bit for bit: by
    selection, since the arithmetic gives it back only nearly, and not at all where it is clamped.

    Args:
        latent: the clean latent, any shape.
        edit: takes decoded frames, gives edited ones of the same shape.
        edited: bool, broadcastable to ``latent``: where the edit may have changed anything.
    """
    xp = array_namespace(latent, edited)
    frames = codec.decode(latent)
    mean, deviation = codec.encode(frames)
    offset = xp.clip((latent - mean) / deviation, -LIMIT, LIMIT)
    new_mean, new_deviation = codec.encode(edit(frames))
    return xp.where(edited, new_mean + new_deviation * offset, latent)
