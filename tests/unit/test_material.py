import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from anyportal_core.catalogue import load_catalogue
from anyportal_core.errors import FrameRangeError, ShotError, UnknownNameError
from anyportal_core.frames import FrameSet
from anyportal_core.media import movie
from anyportal_core.media.encoding import SRGB
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.sizes import Limits
from anyportal_core.stages.material import Material
from anyportal_core.testing.clips import moving_scene, write_image, write_images, write_movie

RECIPE = resolve(RecipeRequest(BackdropChoice("colour", "#ff8000")), load_catalogue())


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plate")
    write_images(folder / "plate.%04d.png", moving_scene(8, 24, 32).plate, 1001)
    write_image(folder / "mask.png", np.ones((24, 32, 3), np.float32))
    return folder


def material(plate: Path, **shot: object) -> Material:
    return Material(Shot(MediaRef(plate / "plate.%04d.png"), **shot), RECIPE)  # type: ignore[arg-type]


def test_handles_are_clamped_to_the_plate(plate: Path) -> None:
    made = material(plate, frames=FrameSet.between(1002, 1004), handles=3)
    assert (made.numbers[0], made.numbers[-1], str(made.deliver)) == (1001, 1007, "1001-1007")


def stretched(plate: Path, folder: Path) -> MediaRef:
    """Two frames, four billion apart."""
    for number in (1, 4_000_000_000):
        shutil.copyfile(plate / "plate.1001.png", folder / f"far.{number}.png")
    return MediaRef(folder / "far.#.png")


@pytest.mark.parametrize("missing", ["hold", "black"])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"frames": FrameSet((1,)), "handles": 2**31 - 1},
        {"frames": FrameSet((1, 4_000_000_000))},
        {"frames": FrameSet((1,)), "within": FrameSet((1, 4_000_000_000))},
    ],
)
def test_frames_that_would_fill_the_memory_are_not_listed(
    plate: Path, tmp_path: Path, missing: str, asked: dict[str, object], little_memory: None
) -> None:
    with pytest.raises(FrameRangeError, match="1000000 are the most"):
        Material(Shot(stretched(plate, tmp_path), missing=missing, **asked), RECIPE)  # type: ignore[arg-type]


def test_a_stray_frame_far_away_is_in_nobodys_way(plate: Path, tmp_path: Path, little_memory: None) -> None:
    far = stretched(plate, tmp_path)
    made = Material(Shot(far, FrameSet.between(1, 3), handles=2, matte=far, missing="hold"), RECIPE)
    assert str(made.deliver) == "1-5"
    assert "lacks frames 2-5" in next(iter(made.remarks()))


def test_between_delivered_frames_lies_context(plate: Path) -> None:
    made = material(plate, frames=FrameSet.parse("1002,1005"))
    assert (made.count, str(made.deliver)) == (4, "1002,1005")


def test_a_mask_belongs_to_the_first_frame_asked_for_not_to_a_handle(plate: Path) -> None:
    mask = MediaRef(plate / "mask.png")
    assert material(plate, frames=FrameSet.between(1004, 1006), handles=2, mask=mask).mask_index == 2
    assert material(plate, mask=mask, mask_frame=1008).mask_index == 7
    with pytest.raises(FrameRangeError, match=r"mask_frame"):
        material(plate, mask=mask, mask_frame=1009)


def test_a_mask_is_one_picture(plate: Path) -> None:
    with pytest.raises(ShotError, match="one picture"):
        material(plate, mask=MediaRef(plate / "plate.%04d.png")).mask()


def test_a_colour_is_a_backdrop_of_one_value(plate: Path) -> None:
    made = material(plate)
    np.testing.assert_allclose(made.backdrop_reader(SRGB, 64).read(0)[0, 0], [1, 128 / 255, 0], atol=1e-6)
    frames = made.backdrop().frames
    assert frames is not None and len(frames) == 1


def test_what_decides_a_result_is_in_the_digests(plate: Path) -> None:
    plain = material(plate).digests()
    assert plain["plate"] != material(plate, frames=FrameSet.between(1001, 1004)).digests()["plate"]
    mask = MediaRef(plate / "mask.png")
    by_frame = {material(plate, mask=mask, mask_frame=n).digests()["mask"] for n in (1001, 1002)}
    assert len(by_frame) == 2
    assert plain["backdrop"] == "#ff8000"


def test_a_movie_that_states_no_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_movie(tmp_path / "raw.mp4", moving_scene(3, 24, 32).plate, rate=30)
    assert list(Material(Shot(MediaRef(path)), RECIPE).remarks()) == []
    monkeypatch.setattr(movie, "rate_of", lambda *_: None)
    made = Material(Shot(MediaRef(path)), RECIPE)
    assert made.rate == 24
    assert list(made.remarks()) == ["raw.mp4 states no frame rate: 24 frames a second are assumed"]
    assert list(Material(Shot(MediaRef(path, rate=Fraction(25))), RECIPE).remarks()) == []


def test_which_layer_is_taken_is_said(tmp_path: Path) -> None:
    names = [f"{layer}.{letter}" for layer in ("albedo", "rgba") for letter in "RGB"]
    file = write_image(tmp_path / "a.exr", np.zeros((24, 32, 6), np.float32), "half", names=names)
    remarks = list(Material(Shot(MediaRef(file)), RECIPE).remarks())
    assert remarks == ["a.exr holds several pictures: its layer rgba is taken"]


def test_pictures_much_smaller_than_asked_for_are_spoken_of(plate: Path) -> None:
    shot = Shot(MediaRef(plate / "plate.%04d.png"))
    assert not list(Material(shot, RECIPE, [Limits(most_pixels=24 * 32), Limits(multiple=16)]).remarks())
    made = Material(shot, RECIPE, [Limits(most_pixels=12 * 16)])
    assert (made.height, made.width) == (12, 16)
    assert list(made.remarks()) == ["models see 16x12, not 32x24: one of them was made for no more pixels"]


def test_a_timecode_that_is_left_out_is_spoken_of(tmp_path: Path) -> None:
    frames = moving_scene(3, 24, 32).plate
    path = write_movie(tmp_path / "a.mov", frames, rate=Fraction(30000, 1001), timecode="00:00:59;20")
    assert list(Material(Shot(MediaRef(path)), RECIPE).remarks()) == []
    (said,) = Material(Shot(MediaRef(path, rate=Fraction(25))), RECIPE).remarks()
    assert "00:00:59;20" in said and "25.000 frames a second: results do not carry it" in said


def test_a_colour_space_that_nobody_knows_is_told_with_whose_it_is(plate: Path) -> None:
    recipe = resolve(RecipeRequest(BackdropChoice("still", "a digest")), load_catalogue())
    shot = Shot(MediaRef(plate / "plate.%04d.png"), backdrop=MediaRef(plate / "mask.png", colour_space="ACESccg"))
    with pytest.raises(UnknownNameError) as caught:
        Material(shot, recipe)
    assert caught.value.where == "shot.backdrop.colour_space"


def cut_out(folder: Path, name: str, storage: str, outside: float, straight: bool) -> Path:
    """A disc of an alpha, and what there is outside of it."""
    y, x = np.mgrid[0:24, 0:32].astype(np.float32)
    alpha = np.clip((8 - np.hypot(x - 16, y - 12)) / 4 + 0.5, 0, 1)
    pixels = np.where(alpha[..., None] > 0, np.float32(0.4), np.float32(outside)) * np.ones(3, np.float32)
    return write_image(folder / name, pixels, storage, alpha, attributes={"oiio:UnassociatedAlpha": int(straight)})


@pytest.mark.parametrize(
    ("name", "storage", "outside", "straight", "colours"),
    [
        ("a.png", "uint16", 0, True, "straight"),
        ("a.tif", "uint16", 0, True, "straight"),
        ("a.tif", "uint16", 0, False, "premultiplied"),
        ("a.exr", "half", 0, False, "premultiplied"),
        ("a.exr", "half", 0.2, False, "photographed"),
        ("a.dpx", "uint16", 0, False, "photographed"),
    ],
)
def test_colours_are_what_the_file_declares(
    tmp_path: Path, name: str, storage: str, outside: float, straight: bool, colours: str
) -> None:
    plate = MediaRef(cut_out(tmp_path, name, storage, outside, straight))
    choice = BackdropChoice("colour", "#ff8000")
    own = resolve(RecipeRequest(choice, settings={"matte.plugin": "draft.supplied"}), load_catalogue())
    assert Material(Shot(plate), own).colours == colours
    assert Material(Shot(plate, matte=plate), own).colours == "photographed"
    assert Material(Shot(plate), RECIPE).colours == "photographed"  # its alpha is not the matte
