"""Image operators behind one port, since the array API standard has none.

``ops.opencv`` serves numpy arrays; a torch half of the same port serves the diffusion preset. One contract
suite runs on both. Images are ``(H, W)`` or ``(H, W, C)``, float32; every call returns a new array.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

Border = Literal["reflect", "replicate", "zero"]
Filter = Literal["area", "linear", "cubic", "lanczos"]


class ImageOps(Protocol):
    """What the method needs of an image library."""

    def gaussian(self, image: Any, sigma: float) -> Any:
        """Gaussian blur, ``sigma`` in pixels; the border is reflected without repeating the edge."""
        ...

    def box(self, image: Any, radius: int) -> Any:
        """Mean over a ``(2*radius+1)`` square, border reflected."""
        ...

    def convolve(self, image: Any, kernel: Any) -> Any:
        """Filter with a small ``(k, k)`` kernel, k odd, not turned round; border as of ``gaussian``."""
        ...

    def resize(self, image: Any, height: int, width: int, filter: Filter = "linear") -> Any:
        """Resample to ``(height, width)``; pixel centres at half-integers. ``area`` is for shrinking."""
        ...

    def remap(self, image: Any, x: Any, y: Any, border: Border = "reflect") -> Any:
        """Sample at pixel coordinates ``x, y`` ``(H', W')`` bilinearly (0,0 is the centre of the first pixel)."""
        ...

    def warp(self, image: Any, matrix: Any, height: int, width: int, border: Border = "reflect") -> Any:
        """Sample through a homography of unit coordinates: output ``(height, width)`` to input.

        ``matrix`` ``(3, 3)`` maps ``((x+0.5)/width, (y+0.5)/height)`` of the output to the same of the
        input. Where the output is coarser than the input, the input is low-passed first. Through the
        identity the very pixels come back.
        """
        ...

    def dilate(self, mask: Any, radius: int) -> Any:
        """Greatest value within a disc of ``radius`` pixels."""
        ...

    def erode(self, mask: Any, radius: int) -> Any:
        """Smallest value within a disc of ``radius`` pixels."""
        ...
