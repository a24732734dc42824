"""People found automatically, and the supplied matte."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import ArraySource, Image
from anyportal_core.plugins.draft.matte.judged import DOUBTFUL
from anyportal_core.plugins.draft.matte.person import _without_ghosts
from anyportal_core.plugins.draft.matte.selfie import Selfie
from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.roles.matte import MatteHints
from anyportal_core.testing.clips import Scene
from anyportal_core.testing.drawn import drawn_person
from anyportal_core.testing.matte_contract import MatteCase, joined

SPECS = {spec.name: spec for spec in MATTES}


def test_a_small_person_is_found_by_the_second_look() -> None:
    """A quarter of the frame's height: the crop sees it four times larger."""
    person = drawn_person(count=1, height=120, width=160)
    frame = np.zeros((480, 640, 3), np.float32) + person.background[0, 0, 0]
    truth = np.zeros((480, 640), np.float32)
    frame[360:, 400:560], truth[360:, 400:560] = person.plate[0], person.matte[0]
    found = Selfie()(frame)
    assert np.abs(found - truth).mean() < 0.006


def test_frames_steady_each_other(shared: Path) -> None:
    """The woman's hair before a ceiling of its colour, where single frames waver."""
    plate = _read(shared / "data" / "clips" / "06_input.mp4")
    wavering = {}
    for steadiness in (0.0, 0.6):
        case = MatteCase(SPECS["draft.person"], Scene(plate, plate[..., 0], plate), settings={"steadiness": steadiness})
        alpha = joined(case.find())["alpha"].astype(np.float32)
        wavering[steadiness] = float(np.abs(np.diff(alpha, n=2, axis=0)).mean())
    assert wavering[0.6] < 0.85 * wavering[0.0]


def test_a_faint_island_is_a_ghost_and_a_second_person_is_none() -> None:
    found = np.zeros((60, 100), np.float32)
    found[10:50, 10:40], found[20:50, 60:75], found[5:15, 85:95] = 1.0, 0.9, 0.5
    kept = _without_ghosts(found)
    assert (kept[:, :80] == found[:, :80]).all() and (kept[:, 80:] == 0).all()
    assert (_without_ghosts(found * 0) == 0).all()


def test_nobody_found_offers_the_other_ways() -> None:
    empty = drawn_person(count=2).background
    case = MatteCase(SPECS["draft.person"], Scene(empty, empty[..., 0], empty))
    with pytest.raises(NoForegroundError, match="nobody") as refused:
        case.find()
    ways = ("--matte", "--mask", "strokes", "--clean-plate", "draft.key")
    assert all(way in refused.value.hint for way in ways)


def test_a_shot_that_begins_empty_is_no_error() -> None:
    scene = drawn_person(count=3, height=90, width=120)
    plate, matte = scene.plate.copy(), scene.matte.copy()
    plate[0], matte[0] = scene.background[0], 0
    alpha = joined(MatteCase(SPECS["draft.person"], Scene(plate, matte, plate)).find())["alpha"]
    assert alpha[0].max() < 0.5 and np.abs(alpha[2] - matte[2]).mean() < 0.02


@pytest.mark.parametrize("size", [(30, 300), (300, 30), (20, 24)])
def test_odd_shapes_are_looked_at(size: tuple[int, int]) -> None:
    found = Selfie()(np.random.default_rng(0).uniform(0, 1, (*size, 3)).astype(np.float32))
    assert found.shape == size and np.isfinite(found).all() and found.dtype == np.float32


@pytest.mark.parametrize(("clip", "most", "most_at_edge"), [("01", 0.004, 0.05), ("07", 0.004, 0.05)])
def test_real_people_match_the_hand_tuned_matte(shared: Path, clip: str, most: float, most_at_edge: float) -> None:
    """The raw model gives 0.006 and 0.010, and 0.075 and 0.088 within 8 pixels of the edge."""
    plate, matte = (_read(shared / "data" / "clips" / f"{clip}_{name}.mp4") for name in ("input", "matte"))
    scene = Scene(plate, matte[..., 0], plate)
    alpha = joined(MatteCase(SPECS["draft.person"], scene).find())["alpha"].astype(np.float32)
    off = np.abs(alpha - scene.matte)
    disc = np.ones((17, 17), np.uint8)
    edge = np.stack([cv2.dilate(m, disc) - cv2.erode(m, disc) > 0.5 for m in scene.matte])
    assert off.mean() < most and off[edge].mean() < most_at_edge


@pytest.mark.parametrize(("clip", "trusted"), [("16", True), ("10", False)])
def test_a_good_matte_is_not_doubted_and_that_of_a_cat_is(shared: Path, clip: str, trusted: bool) -> None:
    plate = _read(shared / "data" / "clips" / f"{clip}_input.mp4")
    sure = joined(MatteCase(SPECS["draft.person"], Scene(plate, plate[..., 0], plate)).find())["confidence"]
    assert ((sure > DOUBTFUL) == trusted).all(), sure


def _read(path: Path, count: int = 6) -> Image:
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(count), strict=False)]
    small = [cv2.resize(f, (640, 426), interpolation=cv2.INTER_AREA) for f in frames]
    return np.stack(small).astype(np.float32) / 255


def test_a_supplied_matte_comes_through_untouched() -> None:
    scene = drawn_person(count=3, height=60, width=80)
    case = MatteCase(SPECS["draft.supplied"], scene, lambda s, n: MatteHints(matte=ArraySource(s.matte[:n, ..., None])))
    assert joined(case.find())["alpha"].tobytes() == scene.matte.tobytes()
    given = np.random.default_rng(0).uniform(0, 1, (120, 160)).astype(np.float32)
    rendered = case.plugin().render(np.zeros((120, 160, 3), np.float32), {}, given, case.context())
    assert rendered.tobytes() == given.tobytes()


def test_no_supplied_matte_is_refused_with_the_other_ways() -> None:
    with pytest.raises(ShotError, match="no matte") as refused:
        MatteCase(SPECS["draft.supplied"], drawn_person(count=2, height=60, width=80)).find()
    assert all(way in refused.value.hint for way in ("--matte", "--mask", "--clean-plate", "draft.person", "draft.key"))
