"""The finish: what the plate's own pixels go through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from anyportal_core.delivery import Delivery
from anyportal_core.errors import RecipeError
from anyportal_core.frames import FrameSet
from anyportal_core.media.clip import Frame
from anyportal_core.media.encoding import LINEAR, SRGB, Encoding, convert, from_linear, to_linear
from anyportal_core.media.exr import quantised
from anyportal_core.ops import opencv
from anyportal_core.plugins.draft.matte.supplied import Supplied
from anyportal_core.recipe import FINISH
from anyportal_core.settings import Settings
from anyportal_core.stages.finish import Finish, check_layers
from anyportal_core.stages.relighting import relight
from anyportal_core.stages.takes import Take

HEIGHT, WIDTH = 288, 320


class Stored:
    """A stage's result of one frame."""

    def __init__(self, **arrays: np.ndarray) -> None:
        self._arrays = arrays
        self.names = frozenset(arrays)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        return self._arrays[name][None]

    def frame(self, index: int) -> dict[str, np.ndarray]:
        return self._arrays


class Painted:
    """A background that a video model made."""

    def render(self, stored: dict[str, Any], backdrop: Any, height: int, width: int, context: Any) -> np.ndarray:
        assert backdrop is None
        return opencv.resize(stored["frames"], height, width, "cubic")


@dataclass
class OneFrame:
    """The material of a shot of one frame, or of that one as it gets lighter; matte supplied, background painted."""

    plate: np.ndarray
    alpha: np.ndarray
    painted: np.ndarray
    log_gain: np.ndarray
    encoding: Encoding = LINEAR
    settings: dict[str, object] | None = None
    clean: np.ndarray | None = None
    colours: str = "photographed"
    veil: np.ndarray | None = None
    count: int = 1

    def layers(self, *wanted: str) -> dict[str, np.ndarray]:
        (number, made), *_ = self.finish(*wanted).frames()
        assert number == 7
        return made

    def finish(self, *wanted: str) -> Finish:
        veil = {} if self.veil is None else {"veil": self.veil}
        results = {"matte": Stored(alpha=self.alpha), "refine": Stored(log_gain=self.log_gain, **veil)}
        if self.clean is not None:
            results["clean_plate"] = Stored(frames=self.clean)
        height, width = self.alpha.shape
        material = SimpleNamespace(
            info=SimpleNamespace(kind="movie", encoding=self.encoding, width=width, height=height),
            backdrop_reader=lambda encoding, long_side: None,
            recipe=SimpleNamespace(finish=Settings.check(FINISH, self.settings or {}, "finish")),
            results=results,
            numbers=list(range(7, 7 + self.count)),
            deliver=FrameSet(tuple(range(7, 7 + self.count))),
            plate_clip=SimpleNamespace(frames=self._frames),
            colours=self.colours,
            full_matte=lambda: iter([self.alpha] * self.count),
            background_frame=lambda index: {"frames": self.painted},
            count=self.count,
            take=lambda index: Take(0, 0, self.count, self.count),
            rate=Fraction(24),
        )
        plugins = {"matte": Supplied(), "background": Painted()}
        cast_ = SimpleNamespace(plugin=plugins.__getitem__, context=lambda role: None)
        return Finish(cast(Any, material), cast(Any, cast_), Delivery(wanted or ("comp",)), opencv)

    def _frames(self, numbers: list[int]) -> Iterator[Frame]:
        for number in numbers:
            yield Frame(number, self.plate * np.float32(1 + (number - 7) / 8))


def disc() -> np.ndarray:
    """A matte with a soft edge that is exactly 0 outside and exactly 1 inside."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    return np.clip((100 - np.hypot(x - WIDTH / 2, y - HEIGHT / 2)) / 6, 0, 1).astype(np.float32)


def halves(generator: np.random.Generator) -> np.ndarray:
    """Pixels as a half-float plate has them: highlights of 40, values of -0.05, grain, and tiny numbers."""
    pixels = generator.normal(0.2, 0.1, (HEIGHT, WIDTH, 3))
    pixels[130:140, 150:170], pixels[150:160, 150:170], pixels[160:165, 150:170] = 40.0, -0.05, 6e-8
    return pixels.astype(np.float16).astype(np.float32)


@pytest.fixture
def shot() -> OneFrame:
    generator = np.random.default_rng(5)
    painted = generator.random((36, 40, 3), np.float32)
    gain = np.broadcast_to(np.log(np.float32([1.5, 0.8, 0.6])), (36, 40, 3))
    return OneFrame(halves(generator), disc(), painted, np.array(gain))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_at_strength_0_the_plate_comes_back_bit_for_bit_where_the_matte_is_1(shot: OneFrame, kind: Any) -> None:
    """As the file stores it, too: the same halves, the same floats."""
    shot.settings = {"relight_strength": 0}
    if kind is np.float32:
        shot.plate = (shot.plate * np.float32(1.1)).astype(np.float32)
    solid = shot.alpha == 1
    made = shot.layers()
    np.testing.assert_array_equal(made["comp"][solid], shot.plate[solid])
    stored = quantised(made, kind)
    for layer in ("comp", "foreground"):
        assert stored[layer][solid].tobytes() == shot.plate.astype(kind)[solid].tobytes(), layer
    assert stored["comp"][solid].max() >= 40 and stored["comp"][solid].min() <= np.float16(-0.05)


@pytest.mark.parametrize("depth", [8, 10, 16])
def test_at_strength_0_integers_come_back_as_the_same_codes(shot: OneFrame, depth: int) -> None:
    most = 2**depth - 1
    codes = np.random.default_rng(1).integers(0, most + 1, (HEIGHT, WIDTH, 3))
    shot = replace(shot, plate=(codes / most).astype(np.float32), encoding=SRGB, settings={"relight_strength": 0})
    solid = shot.alpha == 1
    np.testing.assert_array_equal(np.rint(shot.layers()["comp"] * most)[solid], codes[solid])


@pytest.mark.parametrize("strength", [0, 1])
def test_where_the_matte_is_0_the_comp_is_the_background(shot: OneFrame, strength: float) -> None:
    made = replace(shot, settings={"relight_strength": strength}).layers()
    clear = shot.alpha == 0
    np.testing.assert_array_equal(made["comp"][clear], made["background"][clear])
    stored = quantised(made, np.float16)
    np.testing.assert_array_equal(stored["comp"][clear], stored["background"][clear])


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_the_stored_layers_make_the_comp(shot: OneFrame, kind: Any) -> None:
    stored = quantised(shot.layers(), kind)
    foreground, background, matte = (stored[n].astype(np.float32) for n in ("foreground", "background", "matte"))
    cover = matte[..., None]
    np.testing.assert_array_equal((foreground * cover + background * (1 - cover)).astype(kind), stored["comp"])


def test_the_matte_keeps_its_0_and_its_1(shot: OneFrame) -> None:
    matte = shot.layers()["matte"]
    np.testing.assert_array_equal(matte == 0, shot.alpha == 0)
    np.testing.assert_array_equal(matte == 1, shot.alpha >= 1 - 2**-12)
    soft = (shot.alpha > 0) & (shot.alpha < 1 - 2**-12)
    np.testing.assert_array_equal(matte[soft], shot.alpha[soft])


@pytest.mark.parametrize("encoding", [LINEAR, SRGB, Encoding("pq", "bt2020")])
def test_light_above_1_and_below_0_is_relit_as_any_other(shot: OneFrame, encoding: Encoding) -> None:
    bright = np.where(shot.plate > 30, np.float32(12), shot.plate)  # PQ ends at 49 times diffuse white
    shot = replace(shot, plate=from_linear(bright, encoding), encoding=encoding)
    made = shot.layers("comp", "gain")
    core = shot.alpha == 1
    np.testing.assert_allclose(made["gain"][core], np.broadcast_to([1.5, 0.8, 0.6], (core.sum(), 3)), rtol=1e-5)
    primaries = replace(LINEAR, primaries=encoding.primaries)  # a gain is one of light with the primaries of sRGB
    light = convert(bright, primaries, LINEAR)[core] * np.float32([1.5, 0.8, 0.6])
    lit = convert(to_linear(made["comp"], encoding), primaries, LINEAR)[core]
    np.testing.assert_allclose(lit, light, rtol=2e-3, atol=1e-3)
    assert light.max() > 15 and light.min() < -0.05


def test_an_unrelit_part_of_a_relit_foreground_is_the_plates_own(shot: OneFrame) -> None:
    """Nobody corrects its exposure or its white; nor is the way to linear light and back taken."""
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.float32) / np.float32(255)
    assert (from_linear(to_linear(pixels, SRGB), SRGB) != pixels).mean() > 0.05
    gain = np.zeros_like(shot.log_gain)
    gain[:, 26:] = 0.5
    shot = replace(shot, plate=pixels, alpha=np.ones_like(shot.alpha), encoding=SRGB, log_gain=gain)
    made = shot.layers("comp", "gain")
    half = WIDTH // 2
    np.testing.assert_array_equal(made["comp"][:, :half], pixels[:, :half])
    np.testing.assert_array_equal(made["gain"][:, :half], 1)
    assert (made["comp"][:, -80:] > pixels[:, -80:])[pixels[:, -80:] > 0].all()


def test_a_painted_background_arrives_in_the_plates_encoding(shot: OneFrame) -> None:
    """What a video model paints is display-referred, whatever the plate is."""
    shot.painted = np.full((36, 40, 3), 0.5, np.float32)
    light = convert(shot.painted[:1, :1], SRGB, LINEAR)
    assert light.max() < 0.25
    made = shot.layers()["background"]
    np.testing.assert_allclose(made, np.broadcast_to(light, made.shape), atol=1e-4)


def test_a_clean_plate_is_the_plate_but_for_the_foreground(shot: OneFrame) -> None:
    shot = replace(shot, encoding=SRGB, clean=np.full((36, 40, 3), 0.25, np.float32))
    made = shot.layers("comp", "clean_plate")["clean_plate"]
    np.testing.assert_allclose(made[shot.alpha > 0], 0.25, atol=1e-6)
    assert (made[:8, :8] == shot.plate[:8, :8]).all()


def test_no_clean_plate_is_promised_where_none_is_made() -> None:
    check_layers(Delivery(("comp",)), ["matte"])
    check_layers(Delivery(("comp", "clean_plate")), ["matte", "clean_plate"])
    with pytest.raises(RecipeError, match="clean plate"):
        check_layers(Delivery(("comp", "clean_plate")), ["matte", "clean_background"])


def test_relighting_in_stripes_is_relighting_at_once(shot: OneFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    gain = np.random.default_rng(2).normal(0, 0.5, shot.log_gain.shape).astype(np.float32)

    def lit() -> np.ndarray:
        pixels = shot.plate.copy()
        relight(pixels, gain, np.clip(shot.plate, 0, 1), shot.alpha, LINEAR, opencv)
        return pixels

    striped = lit()
    monkeypatch.setattr("anyportal_core.method.upsampling.STRIPE", 10_000)
    np.testing.assert_allclose(striped, lit(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("colours", ["premultiplied", "straight"])
def test_colours_that_are_declared_are_not_guessed(colours: str) -> None:
    """The foreground comes back as it was drawn: in soft edges too, and bit for bit where it is solid."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    alpha = np.clip((90 - np.hypot(x - WIDTH / 2, y - HEIGHT / 2)) / 20 + 0.5, 0, 1).astype(np.float32)
    drawn = np.stack([0.2 + 0.6 * x / WIDTH, np.full_like(x, 0.5), 0.9 - 0.5 * y / HEIGHT], axis=-1)
    plate = drawn * alpha[..., None] if colours == "premultiplied" else drawn * (alpha[..., None] > 0)
    flat = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    found = OneFrame(plate, alpha, flat, flat, colours=colours).layers("foreground")["foreground"]
    assert np.abs(found - drawn)[alpha > 0.01].max() < 1e-5
    assert found[alpha == 1].tobytes() == plate[alpha == 1].tobytes() and not found[alpha == 0].any()
    faint = np.float32(1e-7)
    noisy = OneFrame(plate + faint, np.maximum(alpha, faint), flat, flat, colours=colours).layers("foreground")
    assert noisy["foreground"].max() < 1


def test_clean_edges_off_takes_any_colours_for_the_foregrounds() -> None:
    alpha, plate = np.full((HEIGHT, WIDTH), 0.5, np.float32), np.full((HEIGHT, WIDTH, 3), 0.3, np.float32)
    made = OneFrame(plate, alpha, plate, 0 * plate, settings={"clean_edges": False}, colours="premultiplied")
    assert (made.layers("foreground")["foreground"] == plate).all()


def veiled(shot: OneFrame, old: float, new: float, **changes: Any) -> OneFrame:
    return replace(shot, veil=np.float32([[old] * 3, [new] * 3]), **changes)


def test_a_veil_is_taken_off_before_the_gain_and_another_laid_on_after_it(shot: OneFrame) -> None:
    layers = veiled(shot, 0.05, 0.02).layers("comp", "foreground", "gain")
    solid, empty = shot.alpha == 1, np.hypot(*np.mgrid[-144:144, -160:160]) > 130
    before, after = shot.plate[solid], layers["foreground"][solid]
    far = before > 0.2  # what is darker than a veil is bent over, not cut off
    expected = (before - 0.05 + 0.05**2 / (before + 0.05)) * layers["gain"][solid] + 0.02
    np.testing.assert_allclose(after[far], expected[far], rtol=1e-4)
    assert (after[before > 0] > 0).all() and after.max() > 20
    np.testing.assert_array_equal(layers["foreground"][empty], 0)


def test_a_veil_is_no_part_of_a_plate_at_strength_0(shot: OneFrame) -> None:
    solid = shot.alpha == 1
    kept = veiled(shot, 0.05, 0.02, settings={"relight_strength": 0}).layers("comp")
    assert kept["comp"][solid].tobytes() == shot.plate[solid].tobytes()
    none, zero = (case.layers("comp")["comp"] for case in (shot, veiled(shot, 0.0, 0.0)))
    assert none.tobytes() == zero.tobytes()


def test_a_veil_without_a_gain_reaches_the_foreground_alone(shot: OneFrame) -> None:
    case = veiled(shot, 0.0, 0.03, log_gain=np.zeros_like(shot.log_gain))
    plain, lifted = shot.plate, case.layers("foreground")["foreground"]
    solid = shot.alpha == 1
    np.testing.assert_allclose(lifted[solid], plain[solid] + 0.03, atol=1e-5)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads pictures are worked on with."""
    before = cv2.getNumThreads()
    yield cv2.setNumThreads
    cv2.setNumThreads(before)


def test_frames_made_at_once_are_those_made_one_by_one(shot: OneFrame, threads: Callable[[int], None]) -> None:
    shot.count = 5
    threads(1)
    one_by_one = list(shot.finish("comp", "gain").frames())
    threads(2)
    at_once = list(shot.finish("comp", "gain").frames())
    assert [number for number, _ in at_once] == [7, 8, 9, 10, 11]
    for (_, made), (_, expected) in zip(at_once, one_by_one, strict=True):
        assert made.keys() == expected.keys()
        for name, image in made.items():
            assert image.tobytes() == expected[name].tobytes(), name


def test_no_thread_outlives_frames_that_are_given_up_or_fail(shot: OneFrame, threads: Callable[[int], None]) -> None:
    there = threading.active_count()
    threads(2)
    shot.count = 9
    frames = shot.finish().frames()
    next(frames)
    frames.close()
    assert threading.active_count() == there
    shot.log_gain = np.zeros(3, np.float32) + 1  # nothing that could be enlarged
    with pytest.raises(Exception):  # noqa: B017 - whatever it is
        list(shot.finish().frames())
    assert threading.active_count() == there
