"""Shots that are not as they should be, through the whole pipeline: what is told, where it is, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import MediaUnreadableError, ShotError
from anyportal_core.frames import FrameSet, Image
from anyportal_core.method.srgb import to_light
from anyportal_core.recipe import BackdropChoice, Recipe, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_image, write_images
from tests.integration.core_house import Heard, read, recipe_for, render

HEIGHT, WIDTH, FIRST = 54, 96, 1001
LAYERS = Delivery(("comp", "background", "matte", "gain"), "exr")


@dataclass(frozen=True)
class Footage:
    """A plate ``(T, H, W, 3)`` and its matte ``(T, H, W)``, to be changed and put on disk."""

    folder: Path
    plate: Image
    matte: Image

    def shot(self, backdrop: Path | None = None) -> Shot:
        grey = np.repeat(self.matte[..., None], 3, -1)
        for name, frames in (("plate", self.plate), ("matte", grey)):
            write_images(self.folder / f"{name}.%04d.png", frames, FIRST, "uint16")
        plate, matte = (MediaRef(self.folder / f"{name}.%04d.png") for name in ("plate", "matte"))
        return Shot(plate, matte=matte, backdrop=None if backdrop is None else MediaRef(backdrop))

    def still(self, name: str, picture: Image, storage: str = "uint8", alpha: Image | None = None) -> Path:
        return write_image(self.folder / name, picture, storage, alpha)


def footage(folder: Path, *counts: int) -> Footage:
    """So many frames of one scene; of each further count, of another one."""
    scenes = [moving_scene(count, HEIGHT, WIDTH, pan=1.0 - 2 * seed, seed=seed) for seed, count in enumerate(counts)]
    plates = [abs(seed % 2 - scene.plate) for seed, scene in enumerate(scenes)]
    return Footage(folder, np.concatenate(plates), np.concatenate([scene.matte for scene in scenes]))


def before_colour(**settings: object) -> Recipe:
    request = RecipeRequest(BackdropChoice("colour", "#c08040"), settings=settings)
    return resolve(request, load_catalogue(), frozenset({"matte"}))


def layers(folder: Path, count: int) -> list[dict[str, Image]]:
    """Every frame's channels by name."""
    found = []
    for path in sorted(folder.glob("*.exr"))[:count]:
        file = oiio.ImageInput.open(str(path))
        names, pixels = file.spec().channelnames, file.read_image("float")
        file.close()
        found.append({name: pixels[..., place] for place, name in enumerate(names)})
    return found


def told(heard: Heard, *words: str) -> list[str]:
    return [text for text in heard.warned if all(word in text for word in words)]


def test_what_a_stage_said_is_said_again_when_it_is_reused(tmp_path: Path) -> None:
    given = footage(tmp_path, 6)
    mask = given.still("mask.png", np.repeat((given.matte[0] > 0.5)[..., None], 3, -1).astype(np.float32))
    given.plate[2:4] = np.random.default_rng(0).random(given.plate[2:4].shape)  # a fault of the tape
    shot = replace(given.shot(), matte=None, mask=MediaRef(mask))
    made = before_colour(**{"matte.plugin": "draft.propagate"})
    first, again = (render(shot, made, tmp_path / name) for name in ("first", "again"))
    assert "matte" in first.ran and again.ran == ["finish"]
    assert told(first, "doubtful", "frames 1003", "--correct 1003=")
    assert (again.said, again.warned) == (first.said, first.warned)


def test_a_shot_with_a_cut_is_rendered_as_its_two_parts_are(tmp_path: Path) -> None:
    """Nothing is carried over it: neither matte, nor light, nor grain. It is told, with the ranges to give instead."""
    given = footage(tmp_path, 5, 6)
    masks = {
        number: given.still(f"mask{number}.png", np.repeat((given.matte[number - FIRST] > 0.5)[..., None], 3, -1) * 1.0)
        for number in (1002, 1008)
    }
    corrections = {number: MediaRef(path) for number, path in masks.items()}
    shot = replace(given.shot(), matte=None, corrections=corrections)
    made = before_colour(**{"matte.plugin": "draft.propagate", "finish.grain": 1.0})
    whole = render(shot, made, tmp_path / "whole", LAYERS)
    assert told(whole, "frame 1006 begins another shot", "--range 1001-1005 and 1006-1011", "anyportal batch")
    for number, text in ((1002, "1001-1005"), (1008, "1006-1011")):
        part = replace(shot, frames=FrameSet.parse(text), corrections={number: corrections[number]})
        alone = render(part, made, tmp_path / "part", LAYERS)
        assert not told(alone, "begins another shot")
    for alone_frame, frame in zip(layers(tmp_path / "part", 11), layers(tmp_path / "whole", 11), strict=True):
        for name in ("matte.A", "gain.R", "gain.B"):
            np.testing.assert_allclose(alone_frame[name], frame[name], rtol=2e-3, err_msg=name)


def test_a_cut_that_is_none_can_be_denied(tmp_path: Path) -> None:
    """Without cuts the setting decides nothing: results that are there are used."""
    (tmp_path / "smooth").mkdir()
    shot, smooth = footage(tmp_path, 4, 4).shot(), footage(tmp_path / "smooth", 4).shot()
    assert told(render(shot, before_colour(), tmp_path / "out"), "--set work.cuts=none")
    denied = render(shot, before_colour(**{"work.cuts": "none"}), tmp_path / "out")
    assert not told(denied, "begins another shot") and "harmonise" in denied.ran
    render(smooth, before_colour(), tmp_path / "out")
    assert render(smooth, before_colour(**{"work.cuts": "none"}), tmp_path / "out").ran == ["finish"]


def test_a_mask_is_not_carried_over_a_cut(tmp_path: Path) -> None:
    given = footage(tmp_path, 4, 4)
    mask = given.still("mask.png", np.repeat((given.matte[0] > 0.5)[..., None], 3, -1) * 1.0)
    shot = replace(given.shot(), matte=None, mask=MediaRef(mask))
    with pytest.raises(ShotError, match="frames 1005-1008: no mask") as caught:
        render(shot, before_colour(**{"matte.plugin": "draft.propagate"}), tmp_path / "out")
    assert "--correct" in caught.value.hint


def test_after_a_cut_the_background_begins_anew(tmp_path: Path) -> None:
    given = footage(tmp_path, 8, 8)
    still = given.still("still.png", moving_scene(1, 2 * HEIGHT, 2 * WIDTH, seed=9).background[0])
    render(given.shot(still), recipe_for(still, relight_strength=0, motion_blur=1.0), tmp_path / "out", LAYERS)
    behind = np.stack([frame["background.G"] for frame in layers(tmp_path / "out", 16)])
    np.testing.assert_allclose(behind[8], behind[0], atol=2e-3, err_msg="the path of one take goes on in the other")
    steps = np.abs(np.diff(behind, axis=0)).mean(axis=(1, 2))
    assert steps[:7].mean() > 1e-3 and steps[8:].mean() > 1e-3, "both follow their cameras"


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_flash_inside_is_no_cut_and_is_told(tmp_path: Path, level: float) -> None:
    given = footage(tmp_path, 9)
    given.plate[4] = level
    heard = render(given.shot(), before_colour(), tmp_path / "out", LAYERS)
    assert not told(heard, "begins another shot")
    assert told(heard, "nothing but one tone on frame 1005:")
    gains = [float(np.log(frame["gain.G"][frame["matte.A"] > 0.5]).mean()) for frame in layers(tmp_path / "out", 9)]
    assert max(np.abs(np.diff(gains))) < 0.05, "the light does not flash"


def test_a_subject_that_leaves_and_comes_back(tmp_path: Path) -> None:
    given, gone = footage(tmp_path, 18), [*range(3), *range(8, 12), 17]
    wall = moving_scene(18, HEIGHT, WIDTH).background
    given.plate[gone], given.matte[gone] = wall[gone], 0
    heard = render(given.shot(), before_colour(), tmp_path / "out", LAYERS)
    assert [text for text in heard.said if "no foreground on frames 1001-1003,1009-1012,1018" in text]
    assert not heard.warned
    frames = layers(tmp_path / "out", 18)
    for index in gone:
        assert (frames[index]["R"] == frames[index]["background.R"]).all()
    there = [index for index in range(18) if index not in gone]
    gains = [float(np.log(frames[index]["gain.G"][frames[index]["matte.A"] > 0.5]).mean()) for index in there]
    assert np.isfinite(gains).all() and np.abs(np.diff(gains) / np.diff(there)).max() < 0.03, "it does not jump"


def test_frames_whose_matte_covers_everything_or_nothing_are_named(tmp_path: Path) -> None:
    given = footage(tmp_path, 6)
    given.matte[1], given.matte[4:] = 0, 1
    heard = render(given.shot(), before_colour(relight_strength=0), tmp_path / "out", LAYERS)
    assert told(heard, "white all over on frames 1005-1006")
    assert [text for text in heard.said if "no foreground on frame 1002:" in text]
    frames, plate = layers(tmp_path / "out", 6), read(tmp_path / "plate.%04d.png")
    assert (frames[1]["R"] == frames[1]["background.R"]).all()
    np.testing.assert_allclose(frames[5]["R"], to_light(plate[5, ..., 0]), atol=1e-3)


@pytest.mark.parametrize("level", [0.0, 0.004, 1.0])
def test_a_clip_of_one_tone(tmp_path: Path, level: float) -> None:
    """Black, nearly black with noise, white: it is told, and light stays finite and small."""
    given = footage(tmp_path, 4)
    noise = np.random.default_rng(0).random(given.plate.shape, np.float32)
    given.plate[:] = np.clip(level * (noise + 0.5 if level < 1 else 1), 0, 1)
    heard = render(given.shot(), before_colour(), tmp_path / "out", LAYERS)
    assert told(heard, "nothing but one tone on frames 1001-1004")
    for frame in layers(tmp_path / "out", 4):
        inside = frame["matte.A"] == 1
        assert all(np.isfinite(channel).all() for channel in frame.values())
        assert frame["gain.R"].min() > 0.1 and frame["gain.R"].max() < 10
        if level < 1:
            assert frame["R"][inside].max() < 0.1, "nothing comes out of the dark"


BACKDROPS: Sequence[tuple[str, tuple[int, int], tuple[str, ...]]] = (
    ("small", (6, 10), ("10x6", "enlarged 10 times")),
    ("a strip", (8, 1600), ("1600x8", "another shape", "less than 1 %")),
    ("a tower", (1600, 12), ("12x1600", "another shape")),
)


@pytest.mark.parametrize(("name", "size", "words"), BACKDROPS)
def test_a_backdrop_that_will_not_look_well_is_told(
    tmp_path: Path, name: str, size: tuple[int, int], words: tuple[str, ...]
) -> None:
    given = footage(tmp_path, 2)
    still = given.still("still.png", np.full((*size, 3), 0.5, np.float32))
    heard = render(given.shot(still), recipe_for(still), tmp_path / "out")
    assert told(heard, "still.png", *words)


def test_a_backdrop_with_an_alpha_channel_is_shown_all_over_and_told(tmp_path: Path) -> None:
    given = footage(tmp_path, 2)
    picture = moving_scene(1, HEIGHT, WIDTH, seed=4).background[0]
    plain = given.still("plain.png", picture)
    clear = given.still("clear.png", picture, alpha=np.repeat(np.eye(1, WIDTH, dtype=np.float32), HEIGHT, 0))
    render(given.shot(plain), recipe_for(plain), tmp_path / "plain", LAYERS)
    heard = render(given.shot(clear), recipe_for(clear), tmp_path / "clear", LAYERS)
    assert [text for text in heard.said if "clear.png has an alpha channel" in text] and not heard.warned
    for a, b in zip(layers(tmp_path / "plain", 2), layers(tmp_path / "clear", 2), strict=True):
        np.testing.assert_array_equal(a["background.R"], b["background.R"])


@pytest.mark.parametrize(("storage", "channels"), [("uint8", 1), ("uint16", 1), ("uint16", 3)])
def test_grey_and_deep_backdrops_are_what_they_show(tmp_path: Path, storage: str, channels: int) -> None:
    given = footage(tmp_path, 1)
    grey = np.repeat(moving_scene(1, HEIGHT, WIDTH, seed=4).background[0].mean(-1, keepdims=True), channels, -1)
    still = given.still("still.png", grey, storage)
    render(given.shot(still), recipe_for(still), tmp_path / "out", LAYERS)
    (frame,) = layers(tmp_path / "out", 1)
    for channel in "RGB":
        np.testing.assert_allclose(frame[f"background.{channel}"], to_light(grey[..., 0]), atol=3e-3)


@pytest.mark.parametrize("left", [0.0, 0.4])
def test_a_damaged_backdrop_is_refused_before_anything_is_made(tmp_path: Path, left: float) -> None:
    given = footage(tmp_path, 2)
    still = given.still("still.png", moving_scene(1, HEIGHT, WIDTH).background[0])
    made = recipe_for(still)
    data = still.read_bytes()
    still.write_bytes(data[: int(left * len(data))] or b"no picture")
    heard = Heard()
    with pytest.raises(MediaUnreadableError) as caught:
        render(given.shot(still), made, tmp_path / "out", heard=heard)
    assert "still.png" in caught.value.where and caught.value.hint
    assert not heard.reused, "no stage was done"
