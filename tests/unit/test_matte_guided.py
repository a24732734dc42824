"""What a user gives to help a matte: corrections, a clean plate, garbage and holdout, the person that is meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import ArraySource, Image
from anyportal_core.plugins.draft.matte.people import chosen
from anyportal_core.plugins.draft.matte.scribbles import decided, is_scribble
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.roles import Chunk
from anyportal_core.roles.matte import MatteHints
from anyportal_core.stages.matte import limited
from anyportal_core.testing.clips import Scene
from anyportal_core.testing.drawn import drawn_person
from anyportal_core.testing.matte_contract import MatteCase, joined

SPECS = {spec.name: spec for spec in MATTES}
LOOKS = Path(__file__).parents[2] / "docs" / "looks.md"


def found(name: str, scene: Scene, hints: MatteHints, **settings: object) -> Image:
    case = MatteCase(SPECS[name], scene, lambda scene, count: hints, settings=settings)
    return joined(case.find())["alpha"].astype(np.float32)


def test_what_differs_from_a_clean_plate_is_found() -> None:
    """Though the clean plate was exposed darker and filmed from a little aside."""
    scene = drawn_person(count=4, height=180, width=240)
    texture = cv2.GaussianBlur(np.random.default_rng(0).uniform(-0.3, 0.3, (180, 240, 3)), (0, 0), 3) * 2
    wall = np.clip(scene.background + texture.astype(np.float32), 0, 1)
    alpha = scene.matte[..., None]
    plate = wall * (1 - alpha) + scene.plate * alpha
    clean = np.roll(wall[:1], 2, axis=2) * np.float32(0.8)
    matte = found("draft.difference", Scene(plate, scene.matte, wall), MatteHints(clean_plate=ArraySource(clean)))
    assert np.abs(matte - scene.matte).mean() < 0.02


def test_no_clean_plate_and_nobody_before_it_are_refused() -> None:
    scene = drawn_person(count=2, height=60, width=80)
    with pytest.raises(ShotError, match="clean plate"):
        found("draft.difference", scene, MatteHints())
    empty = Scene(scene.background, scene.matte, scene.background)
    with pytest.raises(NoForegroundError, match="nothing differs"):
        found("draft.difference", empty, MatteHints(clean_plate=ArraySource(scene.background[:1])))


@pytest.mark.parametrize("name", ["draft.supplied", "draft.key", "draft.difference"])
@pytest.mark.parametrize("given", ["mask", "corrections"])
def test_masks_are_refused_by_what_does_not_take_them(name: str, given: str) -> None:
    scene = drawn_person(count=2, height=60, width=80, wall=(30, 180, 70))
    hints = MatteHints(ArraySource(scene.matte[..., None]), clean_plate=ArraySource(scene.background[:1]))
    masks = {"mask": scene.matte[0], "corrections": {1: scene.matte[1]}}
    with pytest.raises(ShotError, match=f"{name} does not take .*draft.person and draft.propagate") as caught:
        found(name, scene, replace(hints, **{given: masks[given]}))  # type: ignore[arg-type]
    assert all(way in caught.value.hint for way in ("--garbage", "--holdout", "--matte"))
    assert caught.value.where == f"shot.{given}"


def test_a_doubtful_difference_is_not_to_be_corrected_by_what_is_refused() -> None:
    scene, said = drawn_person(count=2, height=60, width=80), list[str]()
    case = MatteCase(SPECS["draft.difference"], scene)
    context = replace(case.context(), note=said.append)
    other = ArraySource(np.random.default_rng(0).random(scene.plate[:1].shape, np.float32))
    list(case.plugin().find(ArraySource(scene.plate), MatteHints(clean_plate=other), context))
    assert "doubtful" in said[0] and "--correct" not in said[0] and "--garbage" in said[0]


def test_garbage_and_holdout_decide_whatever_was_found() -> None:
    alpha = np.full((3, 8, 10), 0.5, np.float32)
    garbage, holdout = np.zeros((1, 8, 10, 1), np.float32), np.zeros((3, 8, 10, 1), np.float32)
    garbage[:, :2], holdout[1, :4] = 1, 1

    def chunks() -> Iterator[Chunk]:
        yield {"alpha": alpha[:2]}
        yield {"alpha": alpha[2:]}

    hints = MatteHints(garbage=ArraySource(garbage), holdout=ArraySource(holdout))
    made = joined(list(limited(chunks(), hints)))
    assert (made["alpha"][0, :2] == 0).all() and (made["alpha"][1, :4] == 1).all() and made["alpha"][2, 5, 5] == 0.5
    assert joined(list(limited(chunks(), MatteHints()))).keys() == {"alpha"}


@pytest.mark.parametrize("name", ["draft.supplied", "draft.key", "draft.person"])
def test_garbage_and_holdout_hold_at_full_size(name: str) -> None:
    scene = drawn_person(count=1, height=90, width=120, wall=(30, 180, 70))
    case = MatteCase(SPECS[name], scene, lambda scene, count: MatteHints(matte=ArraySource(scene.matte[..., None])))
    stored = {name: values[0] for name, values in joined(case.find()).items()}
    garbage, holdout = np.zeros((90, 120), np.float16), np.zeros((90, 120), np.float16)
    garbage[:60], holdout[:20, :30] = 1, 1
    stored |= {"garbage": garbage, "holdout": holdout}
    stored["alpha"] = np.maximum(stored["alpha"] * (1 - garbage), holdout)
    large = cv2.resize(scene.plate[0], (240, 180))
    alpha = case.plugin().render(large, stored, cv2.resize(scene.matte[0], (240, 180)), case.context())
    assert (alpha[50:110] == 0).all() and (alpha[:30, :50] == 1).all() and alpha[130:].max() == 1


def test_a_person_is_corrected_around_the_mask_and_not_far_from_it() -> None:
    """A mask of frame 4 adds a thing beside the person; four frames on, nothing is left of it."""
    scene = drawn_person(count=9, height=120, width=160)
    mask = (scene.matte[4] > 0.5).astype(np.float32)
    mask[10:40, 5:35] = 1
    alone = found("draft.person", scene, MatteHints(), steadiness=0.0)
    helped = found("draft.person", scene, MatteHints(corrections={4: mask}), steadiness=0.0, correction_frames=4)
    there = (slice(15, 35), slice(10, 30))
    assert alone[:, 15:35, 10:30].max() < 0.1
    assert helped[4][there].mean() > 0.9 and min(helped[3][there].mean(), helped[5][there].mean()) > 0.5
    assert np.abs(helped[0] - alone[0]).max() < 0.01 and np.abs(helped[8] - alone[8]).max() < 0.01


def two_people() -> Image:
    both = np.zeros((60, 100), np.float32)
    both[10:50, 5:25], both[20:50, 60:95] = 0.9, 0.9
    both[5:10, 10:20], both[15:20, 70:80] = 0.3, 0.3
    return both


def test_all_the_largest_or_the_picked_person() -> None:
    both = two_people()
    left, right = both.copy(), both.copy()
    left[:, 50:], right[:, :50] = 0, 0
    assert (chosen(both, "all", (0, 0), None) == both).all()
    assert (chosen(both, "largest", (0, 0), None) == right).all()
    assert (chosen(both, "picked", (0.1, 0.5), None) == left).all()


def test_who_was_chosen_is_followed() -> None:
    both = two_people()
    left = both.copy()
    left[:, 50:] = 0
    assert (chosen(both, "largest", (0, 0), np.roll(left, 5, axis=1)) == left).all()


@pytest.mark.parametrize(
    ("pick", "words"),
    [
        ((50, 50), None),
        ((0.5, 0.5), ("0.5 % from the left", "frame 1003", "matte.pick_x", "percent, 0 to 100")),
        ((2, 95), ("2 % from the left and 95 % from the top", "frame 1003", "matte.pick_y")),
    ],
)
def test_a_pick_that_hits_nobody_is_told(pick: tuple[float, float], words: tuple[str, ...] | None) -> None:
    """Nobody is there on the first two frames; pick_x and pick_y as shares are taken for what they are."""
    scene, said = drawn_person(count=4, height=120, width=160), list[str]()
    plate = np.concatenate([scene.background[:2], scene.plate[2:]])
    settings = {"people": "picked", "pick_x": pick[0], "pick_y": pick[1]}
    case = MatteCase(SPECS["draft.person"], scene, settings=settings)
    context = replace(case.context(), note=lambda text: None, warning=said.append)
    list(case.plugin().find(ArraySource(plate, range(1001, 1005)), MatteHints(), context))
    told = [text for text in said if "picked point" in text]
    assert len(told) == (words is not None) and all(word in told[0] for word in words or ())
    assert ("percent, 0 to 100" in "".join(told)) == (max(pick) < 1)


def test_strokes_are_told_from_masks() -> None:
    scene = drawn_person(count=1, height=90, width=120)
    strokes = np.full((90, 120), 0.5, np.float32)
    strokes[cv2.erode(scene.matte[0], np.ones((11, 11), np.uint8)) > 0.5] = 1
    strokes[:4] = strokes[:, :4] = strokes[:, -4:] = 0
    assert is_scribble(strokes) and not is_scribble(scene.matte[0])
    assert (decided(scene.plate[0], scene.matte[0]) == scene.matte[0]).all()
    meant = decided(scene.plate[0], strokes)
    assert np.abs(meant - scene.matte[0]).mean() < 0.03


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_strokes_of_one_kind_or_none(value: float) -> None:
    strokes = np.full((40, 50), 0.5, np.float32)
    strokes[10:12, 10:12] = value
    meant = decided(np.full((40, 50, 3), 0.3, np.float32), strokes)
    assert meant.shape == (40, 50) and np.isfinite(meant).all()


@pytest.mark.parametrize("size", [(30, 300), (300, 30), (20, 24)])
def test_odd_shapes_and_black_frames_are_carried(size: tuple[int, int]) -> None:
    black = np.zeros((4, *size, 3), np.float32)
    mask = np.zeros(size, np.float32)
    mask[5:15, 5:15] = 1
    alpha = found("draft.propagate", Scene(black, black[..., 0], black), MatteHints(corrections={0: mask, 3: mask}))
    assert alpha.shape == (4, *size) and np.isfinite(alpha).all()


def test_a_subject_that_leaves_is_not_seen_elsewhere() -> None:
    """Gone from frame 3 on before the same background: nothing stays, and nothing is made up."""
    scene = drawn_person(count=6, height=120, width=160)
    plate = scene.plate.copy()
    plate[3:] = scene.background[3:]
    alpha = found("draft.person", Scene(plate, scene.matte, plate), MatteHints())
    assert alpha[5].mean() < 0.15 * alpha[1].mean()


def test_a_frame_that_wavers_is_named() -> None:
    """A bright cloth flies past the person on one frame."""
    scene = drawn_person(count=7, height=120, width=160)
    plate = scene.plate.copy()
    plate[4, 20:90, 30:80] = (0.9, 0.7, 0.6)
    case, said = MatteCase(SPECS["draft.person"], Scene(plate, scene.matte, plate)), list[str]()
    context = replace(case.context(), note=said.append)
    source = ArraySource(plate, range(1001, 1008))
    confidence = joined(list(case.plugin().find(source, MatteHints(), context)))["confidence"]
    assert confidence[4] < 0.5 < confidence[:4].min()
    assert any("1005" in text for text in said)


def test_a_cut_inside_the_shot_drags_nothing_over() -> None:
    """The person stands elsewhere before another wall from frame 3 on."""
    left, right = (drawn_person(count=6, height=120, width=160, wall=wall) for wall in ((90, 110, 160), (170, 120, 80)))
    plate, matte = left.plate.copy(), left.matte.copy()
    plate[3:], matte[3:] = right.plate[3:, :, ::-1], right.matte[3:, :, ::-1]
    plate[3:], matte[3:] = np.roll(plate[3:], 30, axis=2), np.roll(matte[3:], 30, axis=2)
    alpha = found("draft.person", Scene(plate, matte, plate), MatteHints())
    assert np.abs(alpha - matte).mean(axis=(1, 2)).max() < 0.03
    ends = {index: (matte[index] > 0.5).astype(np.float32) for index in (0, 5)}
    carried = found("draft.propagate", Scene(plate, matte, plate), MatteHints(corrections=ends))
    assert max(np.abs(carried - matte).mean(axis=(1, 2))[[0, 1, 4, 5]]) < 0.03


@pytest.mark.parametrize(
    ("plugin", "setting"),
    [("draft.person", "correction_frames"), ("draft.propagate", "edges"), ("draft.key", "screen")],
)
def test_what_helps_a_matte_is_described(plugin: str, setting: str) -> None:
    (spec,) = (one for one in SPECS[plugin].settings if one.name == setting)
    lines = LOOKS.read_text("utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(f"* `matte.{setting}`"))
    assert all(f"`{choice}`" in line for choice in spec.choices) and plugin in line
    assert spec.choices or str(spec.default) in line
