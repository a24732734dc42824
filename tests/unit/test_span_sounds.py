"""The sound of a part of a movie: sent along, the same as in the whole, or the whole is sent."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from anyportal_client import sounds
from anyportal_client.packets import WholeNeeded
from anyportal_client.spans import cut_span
from anyportal_core.media.clip import open_clip
from anyportal_core.shot import MediaRef, Span
from anyportal_core.testing.clips import moving_scene, write_movie
from anyportal_core.testing.sounds import RATE, add_sound, hear

FRAMES = moving_scene(60).plate
SECONDS = Fraction(60, 24)
# The first is led by the encoder's delay, the second has two tracks of plain samples, the third's times are in ms.
MOVIES = {"aac.mp4": "aac", "pcm.mov": "pcm_s24le", "flac.mkv": "flac", "alac.mov": "alac"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("movies")
    silent = write_movie(folder / "silent.mp4", FRAMES, options={"crf": "20", "g": "10", "bf": "3"})
    for name, codec in MOVIES.items():
        add_sound(silent, folder / name, codec, SECONDS, tracks=2 if codec.startswith("pcm") else 1)
    return folder


def cut(source: Path, first: int, last: int) -> tuple[Path, Span]:
    target = source.with_name(f"part_{first}_{source.name}")
    span = cut_span(source, first, last, target)
    return target, Span(span.first, span.count, span.rate, span.timecode)


@pytest.mark.parametrize("first", [0, 34])
@pytest.mark.parametrize("name", MOVIES)
def test_a_part_sounds_as_the_whole(folder: Path, name: str, first: int) -> None:
    target, span = cut(folder / name, first, first + 8)
    for track in range(2 if name == "pcm.mov" else 1):
        whole, part = hear(folder / name, track), hear(target, track)
        assert part.codec == whole.codec
        assert part.metadata.get("handler_name") == whole.metadata.get("handler_name")
        begins = Fraction(span.first, 24)  # of the part, in the whole
        # From a tenth of a second on, when every decoder has settled, to the part's last frame.
        asked = np.arange(RATE // 10, RATE // 3)
        theirs = whole.samples[:, asked + round((begins - whole.begins) * RATE)]
        ours = part.samples[:, asked - round(part.begins * RATE)]
        assert np.abs(theirs - ours).max() < 1e-4  # AAC fills in faint noise by chance


def test_sound_says_nothing_about_the_picture(folder: Path) -> None:
    """What is made of the frames is found again whether or not there is sound."""
    with open_clip(MediaRef(folder / "silent.mp4")) as silent, open_clip(MediaRef(folder / "aac.mp4")) as loud:
        assert silent.content(range(34, 40)) == loud.content(range(34, 40))
        target, span = cut(folder / "aac.mp4", 34, 40)
        with open_clip(MediaRef(target, span=span)) as part:
            assert part.content(range(34, 40)) == loud.content(range(34, 40))


def test_a_part_with_sound_is_the_same_every_time(folder: Path) -> None:
    one, _ = cut(folder / "aac.mp4", 34, 40)
    first = one.read_bytes()
    cut(folder / "aac.mp4", 34, 40)
    assert one.read_bytes() == first


def test_sound_that_would_change_has_the_whole_sent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a muxer does, the part's sound is read again and compared."""
    monkeypatch.setattr(sounds.SoundCopy, "until", lambda *_: None)
    with pytest.raises(WholeNeeded, match="sound cannot be cut"):
        cut_span(folder / "aac.mp4", 34, 40, folder / "none.mp4")
    assert not (folder / "none.mp4").exists()
