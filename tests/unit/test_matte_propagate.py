"""A mask carried through the shot."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import ArraySource, Image
from anyportal_core.plugins.draft.matte.colours import Colours
from anyportal_core.plugins.draft.matte.judged import DOUBTFUL
from anyportal_core.plugins.draft.matte.known import Given
from anyportal_core.plugins.draft.matte.pile import Pile
from anyportal_core.plugins.draft.matte.propagate import agreed
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.plugins.draft.matte.tracker import Carried
from anyportal_core.roles.matte import MatteHints
from anyportal_core.testing.clips import Scene
from anyportal_core.testing.drawn import drawn_person
from anyportal_core.testing.matte_contract import MatteCase, joined

SPEC = next(spec for spec in MATTES if spec.name == "draft.propagate")


def overlap(found: Image, truth: Image) -> float:
    """Intersection over union."""
    a, b = found > 0.5, truth > 0.5
    return float((a & b).sum() / (a | b).sum())


def carried(scene: Scene, index: int, mask: Image | None = None, **settings: str) -> Image:
    mask = (scene.matte[index] > 0.5).astype(np.float32) if mask is None else mask
    case = MatteCase(SPEC, scene, lambda scene, count: MatteHints(mask=mask, mask_index=index), settings=settings)
    return joined(case.find())["alpha"].astype(np.float32)


@pytest.mark.parametrize("index", [0, 13, 23])
def test_the_mask_follows_a_moving_person_both_ways(index: int) -> None:
    scene = drawn_person(count=24, height=90, width=160, drift=3.0)
    found = carried(scene, index)
    assert min(overlap(a, b) for a, b in zip(found, scene.matte, strict=True)) > 0.93
    assert overlap(scene.matte[0], scene.matte[-1]) < 0.5  # standing still would not do


def test_a_mask_need_not_be_exact() -> None:
    """A mask painted three pixels too wide stays so wide, or settles on the person's own edge."""
    scene = drawn_person(count=6, height=240, width=320)
    seven = np.ones((7, 7), np.uint8)
    wide = cv2.dilate((scene.matte[0] > 0.5).astype(np.float32), seven)
    found, painted = carried(scene, 0, wide, edges="found"), carried(scene, 0, wide)
    assert overlap(wide, scene.matte[0]) < 0.95 < 0.975 < overlap(found[-1], scene.matte[-1])
    assert overlap(painted[-1], cv2.dilate(scene.matte[-1], seven)) > 0.96


@pytest.mark.parametrize("wide", [3, 5, 7])
def test_what_lies_inside_of_a_wide_mask_is_solid(wide: int) -> None:
    """However little wider it is painted than what is found is anyhow."""
    scene = drawn_person(count=3, height=426, width=640)
    mask = cv2.dilate((scene.matte[0] > 0.5).astype(np.float32), np.ones((wide, wide), np.uint8))
    found = carried(scene, 0, mask)
    inside = cv2.erode(scene.matte[-1], np.ones((9, 9), np.uint8)) > 0.99
    assert found[-1][inside].min() > 0.99
    assert abs(found[-1].mean() / mask.mean() - 1) < 0.05


def test_an_edge_painted_wide_is_not_drawn_to_the_pictures_edges_at_full_size() -> None:
    scene = drawn_person(count=2, height=240, width=320)
    wide = cv2.dilate((scene.matte[0] > 0.5).astype(np.float32), np.ones((7, 7), np.uint8))
    case = MatteCase(SPEC, scene, lambda scene, count: MatteHints(mask=wide))
    stored = {name: values[0] for name, values in joined(case.find()).items()}
    large = cv2.resize(scene.plate[0], (640, 480))
    alpha = case.plugin().render(large, stored, None, case.context())
    assert np.abs(alpha - cv2.resize(stored["alpha"], (640, 480))).max() < 1e-3
    assert overlap(cv2.resize(alpha, (320, 240), interpolation=cv2.INTER_AREA), wide) > 0.99


def test_what_looks_as_it_did_where_a_mask_was_given_is_what_it_was() -> None:
    """A faint patch, painted as foreground: it is so where the camera moved it, and not once it is bare."""
    frame = np.full((60, 80, 3), 0.5, np.float32) + np.random.default_rng(0).uniform(0, 0.05, (60, 80, 1))
    frame = frame.astype(np.float32)
    mask = np.zeros((60, 80), np.float32)
    mask[20:30, 20:40] = 1
    frame[mask > 0] += 0.2
    given = Given(frame, mask, np.eye(3)).moved(np.array([[1, 0, 3], [0, 1, 0], [0, 0, 1]], np.float64))
    there = given.evidence(np.roll(frame, -3, axis=1))
    assert there[22:28, 20:35].min() > 1 and there[40:, 10:60].max() < -1
    assert (there[:, -3:] == 0).all(), "what was outside then is not known"
    bare = np.roll(np.where(mask[..., None] > 0, frame - np.float32(0.2), frame), -3, axis=1)
    assert np.abs(given.evidence(bare)[22:28, 20:35]).max() < 0.1
    later = given
    for _ in range(40):
        later = later.moved(np.eye(3))
    assert later.evidence(np.roll(frame, -3, axis=1))[22:28, 20:35].max() < 0.5 * there[22:28, 20:35].min()


def test_a_limb_swung_farther_than_the_mask_reaches_is_found() -> None:
    """An arm of 12 pixels is stretched by 30 at once, before a wall that was seen there."""
    scene = drawn_person(count=9, height=240, width=320)
    plate, matte = scene.plate.copy(), scene.matte.copy()
    edge = int(np.flatnonzero(matte[0][140] > 0.5)[0])
    for index in range(9):
        arm = slice(132, 148), slice(edge - (12 if index < 8 else 42), edge + 8)
        plate[index][arm], matte[index][arm] = (0.9, 0.8, 0.1), 1
    wide = cv2.dilate((matte[0] > 0.5).astype(np.float32), np.ones((7, 7), np.uint8))
    found = carried(Scene(plate, matte, plate), 0, wide)
    assert (
        (found[8][136:144, edge - 38 : edge] > 0.5).mean() > 0.9 > 0.1 > (found[7][136:144, : edge - 20] > 0.5).mean()
    )


def test_no_mask_and_an_empty_mask_are_refused() -> None:
    scene = drawn_person(count=2, height=60, width=80)
    with pytest.raises(ShotError, match="no mask") as refused:
        MatteCase(SPEC, scene).find()
    assert "--mask" in refused.value.hint
    with pytest.raises(NoForegroundError, match="empty"):
        carried(scene, 0, np.zeros((60, 80), np.float32))


def test_who_left_the_picture_is_not_believed_until_the_next_mask() -> None:
    """What is carried on may be anything, however surely; a mask of a later frame ends that."""
    scene = drawn_person(count=14, height=90, width=120)
    plate, matte = scene.plate.copy(), scene.matte.copy()
    plate[4:9], matte[4:9] = scene.background[4:9], 0

    def sure(*masks: int) -> Image:
        hints = MatteHints(corrections={index: (matte[index] > 0.5).astype(np.float32) for index in masks})
        return joined(MatteCase(SPEC, Scene(plate, matte, plate), lambda scene, count: hints).find())["confidence"]

    once, twice = sure(0), sure(0, 11)
    assert (once[:4] > DOUBTFUL).all() and (once[4:] < DOUBTFUL).all(), once
    assert (twice[10:] > DOUBTFUL).all(), twice


def test_of_two_ways_the_one_that_is_lost_does_not_count() -> None:
    """Another shot lies between: what the first mask became there is not taken for the person of the second one."""
    scene = drawn_person(count=16, height=90, width=120)
    plate = scene.plate.copy()
    plate[4:8] = np.random.default_rng(0).uniform(0, 1, plate[4:8].shape)
    masks = {index: (scene.matte[index] > 0.5).astype(np.float32) for index in (0, 15)}
    case = MatteCase(SPEC, Scene(plate, scene.matte, plate), lambda scene, count: MatteHints(corrections=masks))
    found = joined(case.find())
    kept = [overlap(a, b) for a, b in zip(found["alpha"], scene.matte, strict=True)]
    assert min(kept[:4]) > 0.95 and min(kept[8:]) > 0.9, kept
    assert (found["confidence"] < DOUBTFUL).tolist() == [4 <= index < 8 for index in range(16)], found["confidence"]


def test_where_two_ways_find_different_things_neither_is_believed() -> None:
    left, right = np.zeros((40, 60), np.float32), np.zeros((40, 60), np.float32)
    left[10:30, 5:25], right[10:30, 30:50] = 1, 1
    assert agreed(Carried(left, 1.0), Carried(left, 0.9), 0.5).sure == 1
    assert agreed(Carried(left, 1.0), Carried(right, 1.0), 0.5).sure < 0.2
    near = agreed(Carried(left, 1.0), Carried(right, 1.0), 0.02)
    assert near.sure > 0.9 and overlap(near.probability, left) == 1
    lost = agreed(Carried(left, 0.1), Carried(right, 0.9), 0.3)
    assert lost.sure > 0.7 and overlap(lost.probability, right) == 1, "though the other is nearer"


def test_a_mask_of_everything_stays_everything() -> None:
    scene = drawn_person(count=3, height=60, width=80)
    assert (carried(scene, 1, np.ones((60, 80), np.float32)) > 0.99).mean() > 0.99


def test_colours_tell_inside_from_around() -> None:
    scene = drawn_person(count=1)
    colours = Colours()
    colours.learn(scene.plate[0], scene.matte[0])
    evidence = colours.evidence(scene.plate[0])
    assert np.median(evidence[scene.matte[0] == 1]) > 2 and np.median(evidence[scene.matte[0] == 0]) < -2


def test_a_pile_gives_back_last_to_first_from_memory_and_from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    alphas = np.random.default_rng(0).uniform(0, 1, (5, 30, 40)).astype(np.float32)
    for limit in (1 << 20, 1000):
        monkeypatch.setattr("anyportal_core.plugins.draft.matte.pile._IN_MEMORY", limit)
        with Pile(30, 40) as pile:
            for alpha in alphas:
                pile.push(alpha)
            found = np.stack(list(pile.unpile()))
        assert found.dtype == np.float32 and np.abs(found - alphas[::-1]).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("clip", ["10", "16"])
def test_real_footage_keeps_its_matte(shared: Path, clip: str) -> None:
    """A cat whose fur meets plants; a man filmed by a moving camera into the sun. 18 frames, small."""
    plate, matte = (_read(shared / "data" / "clips" / f"{clip}_{name}.mp4") for name in ("input", "matte"))
    found = carried(Scene(plate, matte[..., 0], plate), 0)
    assert np.mean([overlap(a, b) for a, b in zip(found, matte[..., 0], strict=True)]) > 0.95


def _read(path: Path, count: int = 18) -> Image:
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(count), strict=False)]
    small = [cv2.resize(f, (320, 214), interpolation=cv2.INTER_AREA) for f in frames]
    return np.stack(small).astype(np.float32) / 255


def test_sources_are_never_read_backwards_frame_by_frame() -> None:
    """Going back is expensive in a movie: the way back is read in runs."""
    scene = drawn_person(count=40, height=45, width=60)
    source, starts = ArraySource(scene.plate), []

    class Counted(ArraySource):
        def read(self, start: int, stop: int) -> Image:
            starts.append(start)
            return source.read(start, stop)

    mask = (scene.matte[39] > 0.5).astype(np.float32)
    case = MatteCase(SPEC, scene, lambda scene, count: MatteHints(mask=mask, mask_index=39))
    case.find(plate=Counted(scene.plate))
    assert sum(b < a for a, b in pairwise(starts)) <= 3


def test_a_correction_is_felt_in_both_directions() -> None:
    """The mask of the first frame lacks the lower half; a correction in the middle brings it back on both sides."""
    scene = drawn_person(count=13, height=120, width=160, drift=1.0)
    half = (scene.matte[0] > 0.5).astype(np.float32)
    half[70:] = 0
    whole = (scene.matte[6] > 0.5).astype(np.float32)
    hints = MatteHints(mask=half, corrections={6: whole})
    case = MatteCase(SPEC, scene, lambda scene, count: hints)
    alone, corrected = carried(scene, 0, half), joined(case.find())["alpha"].astype(np.float32)
    for index in (4, 5, 6, 8, 12):
        truth = scene.matte[index]
        assert overlap(corrected[index], truth) > 0.9 > overlap(alone[index], truth) + 0.1, index


def test_strokes_are_a_mask() -> None:
    scene = drawn_person(count=4, height=120, width=160)
    strokes = np.full((120, 160), 0.5, np.float32)
    disc = np.ones((15, 15), np.uint8)
    strokes[cv2.erode(scene.matte[0], disc) > 0.5] = 1
    strokes[:, :6] = strokes[:6] = 0
    found = carried(scene, 0, strokes)
    assert min(overlap(a, b) for a, b in zip(found, scene.matte, strict=True)) > 0.9


def test_frames_that_nothing_is_sure_of_are_named() -> None:
    """The person is gone and the scene another one from frame 4 on."""
    scene = drawn_person(count=8, height=120, width=160)
    plate = scene.plate.copy()
    plate[4:] = np.random.default_rng(0).uniform(0, 1, plate[4:].shape)
    mask = (scene.matte[0] > 0.5).astype(np.float32)
    case, said = MatteCase(SPEC, scene, lambda scene, count: MatteHints(mask=mask)), []
    context = replace(case.context(), note=said.append)
    chunks = list(case.plugin().find(ArraySource(plate, range(1001, 1009)), MatteHints(mask=mask), context))
    assert joined(chunks)["confidence"][:4].min() > 0.5 > joined(chunks)["confidence"][4]
    assert any("1005" in text for text in said)


@pytest.mark.parametrize(("keys", "least"), [((0,), 0.86), ((0, 23, 46), 0.88)])
def test_fast_sports_keep_their_mask(shared: Path, keys: tuple[int, ...], least: float) -> None:
    """A tennis player and his shadow, filmed by a panning camera, 47 frames; masks painted five pixels wide."""
    names = [f"{index:05d}" for index in range(47)]
    plate = np.stack([cv2.imread(str(shared / f"data/davis/tennis/{name}.jpg"))[..., ::-1] for name in names])
    folder = shared / "data/davis/tennis_mask"
    masks = np.stack([cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_GRAYSCALE) > 0 for name in names])
    masks = masks.astype(np.float32)
    frames = plate.astype(np.float32) / 255
    hints = MatteHints(corrections={key: masks[key] for key in keys})
    found = joined(MatteCase(SPEC, Scene(frames, masks, frames), lambda scene, count: hints).find())["alpha"]
    assert np.mean([overlap(a, b) for a, b in zip(found, masks, strict=True)]) > least
