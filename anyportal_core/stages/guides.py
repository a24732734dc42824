"""What a shot brings to help its matte besides a matte and a mask: corrections, a clean plate, garbage and holdout."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anyportal_core.errors import FrameRangeError, ShotError
from anyportal_core.frames import FrameSource, Image
from anyportal_core.media.clip import Clip, ClipInfo
from anyportal_core.media.framed import framed
from anyportal_core.media.work import AlphaFrames, WorkFrames, matte_numbers
from anyportal_core.shot import MediaRef, Shot


class Guides:
    """The opened media.

    Args:
        open_whole: opens a medium.
        plate: what they belong to.
        numbers: the plate's frames that are analysed.
        size: ``(h, w)`` to work at.

    Raises (on construction):
        InputError: media that cannot be read or have another size, a correction of a frame that is not processed.
    """

    def __init__(
        self,
        shot: Shot,
        open_whole: Callable[[MediaRef], Clip],
        plate: ClipInfo,
        numbers: Sequence[int],
        size: tuple[int, int],
    ) -> None:
        self._plate, self._numbers, self._size = plate, numbers, size
        named = {"clean_plate": shot.clean_plate, "garbage": shot.garbage, "holdout": shot.holdout}
        self._clips = {
            name: framed(ref, open_whole(ref), plate, name.replace("_", " ")) for name, ref in named.items() if ref
        }
        self._corrections: dict[int, Clip] = {}
        for number, ref in sorted(shot.corrections.items()):
            if not numbers[0] <= number <= numbers[-1]:
                raise FrameRangeError(
                    f"frame {number} is outside {numbers[0]}-{numbers[-1]}",
                    where="shot.corrections",
                    hint="give masks of frames of the range that is processed",
                )
            self._corrections[number] = framed(ref, open_whole(ref), plate, "mask")

    def digest(self) -> str:
        """What identifies them all; empty where there are none."""
        named = [f"{name} {clip.digest()}" for name, clip in self._clips.items()]
        return ", ".join([*named, *(f"{number} {clip.digest()}" for number, clip in self._corrections.items())])

    def corrections(self) -> dict[int, Image]:
        """Masks ``(H, W)`` at work size by the index of their frame."""
        return {number - self._numbers[0]: self._mask(number, clip) for number, clip in self._corrections.items()}

    def clean_plate(self) -> FrameSource | None:
        """``(T, H, W, 3)``, or of one frame."""
        clip = self._clips.get("clean_plate")
        return None if clip is None else WorkFrames(clip, self._frames(clip), self._size)

    def cover(self, name: str) -> FrameSource | None:
        """``garbage`` or ``holdout``: ``(T, H, W, 1)``, or of one frame."""
        clip = self._clips.get(name)
        if clip is None:
            return None
        still = len(clip.info.numbers) == 1
        return AlphaFrames(
            clip, self._plate, self._numbers[:1] if still else self._numbers, self._size, what=f"{name} matte"
        )

    def _frames(self, clip: Clip) -> Sequence[int]:
        still = len(clip.info.numbers) == 1
        return clip.info.numbers if still else matte_numbers(clip.info, self._plate, self._numbers, "clean plate")

    def _mask(self, number: int, clip: Clip) -> Image:
        if len(clip.info.numbers) != 1:
            raise ShotError("a correction is one picture", where=str(clip.info.path), hint="give a clip as --matte")
        return AlphaFrames(clip, self._plate, [number], self._size).read(0, 1)[0, ..., 0]
