"""Whole shots through the core in process: real media in, real media out, the draft preset's own plug-ins."""

from __future__ import annotations

import hashlib
import random
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import (
    AnyPortalError,
    Cancelled,
    FrameRangeError,
    InputError,
    LengthMismatchError,
    MediaNotFoundError,
    ShotError,
    SizeMismatchError,
    StorageError,
)
from anyportal_core.frames import FrameSet
from anyportal_core.media.clip import open_clip
from anyportal_core.media.writers import Written
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, Recipe, RecipeRequest, resolve
from anyportal_core.roles import Chunk
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import Scene, moving_scene, write_image, write_images, write_movie

COUNT = 10


@dataclass
class Watcher:
    """Keeps everything a run says; cancels at a fraction of the job if told to."""

    cancel_at: float = 2.0
    fractions: list[float] = field(default_factory=list)
    reused: dict[str, bool] = field(default_factory=dict)
    written: list[Written] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    frames: FrameSet | None = None
    rate: Fraction | None = None

    def started(self, frames: FrameSet, rate: Fraction) -> None:
        self.frames, self.rate = frames, rate

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None:
        self.fractions.append(fraction)

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self.reused[stage] = reused

    def files(self, written: Sequence[Written]) -> None:
        assert all(w.path.is_file() for w in written), "announced files are finished"
        self.written.extend(written)

    def log(self, text: str, warning: bool = False) -> None:
        self.said.append(text)

    def checkpoint(self) -> None:
        if self.fractions and self.fractions[-1] >= self.cancel_at:
            raise Cancelled("the test asked for it")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return moving_scene(COUNT, 72, 128)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory, scene: Scene) -> Path:
    """A movie and an EXR sequence of the same scene, its matte, and a still to put behind it."""
    folder = tmp_path_factory.mktemp("media")
    write_movie(folder / "plate.mp4", scene.plate)
    write_movie(folder / "matte.mp4", np.repeat(scene.matte[..., None], 3, axis=-1))
    (folder / "exr").mkdir()
    write_images(folder / "exr" / "plate.%04d.exr", scene.plate, 1001, "half")
    write_images(folder / "exr" / "matte.%04d.png", np.repeat(scene.matte[..., None], 3, -1), 1001, "uint16")
    write_images(folder / "still.%01d.png", moving_scene(1, 90, 160, seed=7).background, 1)
    (folder / "still.1.png").rename(folder / "still.png")
    return folder


def recipe(media: Path, **settings: object) -> Recipe:
    still = open_clip(MediaRef(media / "still.png")).digest()
    request = RecipeRequest(BackdropChoice("still", still), settings=settings)
    return resolve(request, load_catalogue(), frozenset({"matte"}))


def movie_shot(media: Path) -> Shot:
    return Shot(
        MediaRef(media / "plate.mp4"), matte=MediaRef(media / "matte.mp4"), backdrop=MediaRef(media / "still.png")
    )


def exr_shot(media: Path) -> Shot:
    return Shot(
        MediaRef(media / "exr/plate.%04d.exr"),
        matte=MediaRef(media / "exr/matte.%04d.png"),
        backdrop=MediaRef(media / "still.png"),
    )


def render(
    shot: Shot, made: Recipe, out: Path, delivery: Delivery | None = None, watcher: Watcher | None = None
) -> Watcher:
    watcher = watcher or Watcher()
    out.mkdir(exist_ok=True)
    render_shot(shot, made, delivery or Delivery(), out, DirectoryCache(out.parent / "stages"), watcher)
    return watcher


def pixels(path: Path) -> np.ndarray:
    with open_clip(MediaRef(path)) as clip:
        return np.stack([frame.pixels for frame in clip.frames()])


def test_the_wall_is_replaced_and_the_subject_kept(tmp_path: Path, media: Path, scene: Scene) -> None:
    watcher = render(movie_shot(media), recipe(media, relight_strength=0), tmp_path / "out")
    (written,) = watcher.written
    comp = pixels(written.path)
    assert comp.shape == scene.plate.shape
    inside, outside = scene.matte > 0.999, scene.matte < 0.001
    assert np.abs(comp - scene.plate)[inside].mean() < 0.03
    assert np.abs(comp - scene.plate)[outside].mean() > 0.1, "the old wall is still there"


def test_progress_rises_to_the_end(tmp_path: Path, media: Path) -> None:
    watcher = render(movie_shot(media), recipe(media), tmp_path / "out")
    assert watcher.fractions == sorted(watcher.fractions)
    assert watcher.fractions[-1] == pytest.approx(1.0)
    assert (str(watcher.frames), watcher.rate) == (f"0-{COUNT - 1}", 24)


def test_the_same_job_twice_gives_the_same_bytes(tmp_path: Path, media: Path) -> None:
    delivery = Delivery(("comp", "foreground", "background", "matte", "gain"), "exr")
    digests = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        for shot, chosen in ((movie_shot(media), Delivery()), (exr_shot(media), delivery)):
            watcher = render(shot, recipe(media), tmp_path / run / "out", chosen)
            digests.append([hashlib.sha256(w.path.read_bytes()).hexdigest() for w in watcher.written])
    assert digests[:2] == digests[2:]


def test_strength_nought_gives_the_plates_own_values_where_the_matte_is_one(
    tmp_path: Path, media: Path, scene: Scene
) -> None:
    watcher = render(exr_shot(media), recipe(media, relight_strength=0), tmp_path / "out")
    assert [w.number for w in watcher.written] == list(range(1001, 1001 + COUNT))
    plate, comp = pixels(media / "exr/plate.%04d.exr"), pixels(tmp_path / "out/plate.%04d.exr")
    solid = pixels(media / "exr/matte.%04d.png")[..., 0] == 1
    assert solid.sum() > 100
    np.testing.assert_array_equal(comp[solid], plate[solid])


def test_where_the_delivered_matte_is_one_the_plate_comes_back(tmp_path: Path, media: Path, scene: Scene) -> None:
    """Sixteen bits tell 0.9999 from 1, half float does not: who reads the result sees a solid foreground."""
    nearly = np.where(scene.matte > 0.9, np.linspace(0.9995, 1, scene.matte.shape[2], dtype=np.float32), scene.matte)
    write_images(tmp_path / "matte.%04d.png", np.repeat(nearly[..., None], 3, -1), 1001, "uint16")
    shot = replace(exr_shot(media), matte=MediaRef(tmp_path / "matte.%04d.png"))
    layers = ("comp", "foreground", "background", "matte")
    render(shot, recipe(media, relight_strength=0), tmp_path / "out", Delivery(layers))
    plate = pixels(media / "exr/plate.%04d.exr")
    for index, path in enumerate(sorted((tmp_path / "out").iterdir())):
        names, stored = exr_channels(path)
        solid = stored[..., names.index("matte.A")] == 1
        assert 100 < solid.sum() < (nearly[index] > 0.9).sum()
        np.testing.assert_array_equal(stored[solid][:, :3], plate[index][solid])


@pytest.mark.parametrize("kind", ["movie", "exr"])
def test_the_comp_of_an_exr_is_made_of_its_layers(tmp_path: Path, media: Path, kind: str) -> None:
    shot = movie_shot(media) if kind == "movie" else exr_shot(media)
    for name, layers in (("all", ("comp", "foreground", "background", "matte")), ("comp", ("comp",))):
        (tmp_path / name).mkdir()
        render(shot, recipe(media), tmp_path / name / "out", Delivery(layers, "exr"))
    paths = sorted((tmp_path / "all" / "out").iterdir())
    assert len(paths) == COUNT
    for path in paths:
        names, stored = exr_channels(path)
        part = {
            layer: stored[..., [names.index(f"{layer}.{c}") for c in "RGB"]] for layer in ("foreground", "background")
        }
        matte = stored[..., names.index("matte.A"), None]
        made = (part["foreground"] * matte + part["background"] * (1 - matte)).astype(np.float16)
        comp = stored[..., [names.index(c) for c in "RGB"]].astype(np.float16)
        np.testing.assert_array_equal(comp, made)
        alone, only = exr_channels(tmp_path / "comp" / "out" / path.name)
        np.testing.assert_array_equal(only[..., [alone.index(c) for c in "RGB"]].astype(np.float16), made)


def exr_channels(path: Path) -> tuple[list[str], np.ndarray]:
    file = oiio.ImageInput.open(str(path))
    names, stored = list(file.spec().channelnames), file.read_image("float")
    file.close()
    return names, stored


def test_only_what_changed_runs_again(tmp_path: Path, media: Path) -> None:
    def stages_run(made: Recipe, shot: Shot) -> set[str]:
        reused = render(shot, made, tmp_path / "out").reused
        return {stage for stage, was in reused.items() if not was}

    shot = movie_shot(media)
    everything = {"matte", "motion", "background", "harmonise", "refine", "finish"}
    assert stages_run(recipe(media), shot) == everything
    assert stages_run(recipe(media), shot) == {"finish"}
    assert stages_run(recipe(media, relight_strength=0.1), shot) == {"finish"}
    closer = recipe(media, **{"background.scale": 1.5})
    assert stages_run(closer, shot) == {"background", "harmonise", "refine", "finish"}
    assert stages_run(recipe(media), replace(shot, frames=FrameSet.between(2, 5))) == everything


def test_how_a_medium_is_read_decides_its_results(tmp_path: Path, media: Path) -> None:
    """A backdrop sequence at another rate or in another colour space is another backdrop."""
    write_images(tmp_path / "sky.%04d.png", moving_scene(6, 72, 128, seed=5).background, 1)
    sky = MediaRef(tmp_path / "sky.%04d.png")
    with open_clip(sky) as clip:
        request = RecipeRequest(BackdropChoice("clip", clip.digest()))
    made = resolve(request, load_catalogue(), frozenset({"matte"}))

    def comp(backdrop: MediaRef, name: str) -> bytes:
        watcher = render(replace(movie_shot(media), backdrop=backdrop), made, tmp_path / name)
        return watcher.written[0].path.read_bytes()

    kinds = [replace(sky, rate=Fraction(24)), replace(sky, rate=Fraction(6)), replace(sky, colour_space="linear")]
    results = {comp(backdrop, f"out{n}") for n, backdrop in enumerate(kinds)}
    assert len(results) == 3


@pytest.mark.parametrize("damage", ["cut short", "one bit"])
def test_a_damaged_stage_result_is_computed_anew(tmp_path: Path, media: Path, damage: str, fresh_seed: int) -> None:
    before = render(movie_shot(media), recipe(media), tmp_path / "out").written[0].path.read_bytes()
    rng = random.Random(fresh_seed)
    for path in sorted((tmp_path / "stages").iterdir()):
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data[:100] if damage == "cut short" else data)
    watcher = render(movie_shot(media), recipe(media), tmp_path / "out")
    assert not any(watcher.reused.values())
    assert watcher.written[0].path.read_bytes() == before


def test_the_plates_own_alpha_is_a_matte(tmp_path: Path, media: Path, scene: Scene) -> None:
    write_images(tmp_path / "plate.%04d.exr", scene.plate, 1001, "half", alpha=scene.matte)
    shot = Shot(MediaRef(tmp_path / "plate.%04d.exr"), backdrop=MediaRef(media / "still.png"))
    made = recipe(media, **{"matte.plugin": "draft.supplied"})
    render(shot, made, tmp_path / "out", Delivery(("comp", "matte")))
    names, stored = exr_channels(tmp_path / "out" / "plate.1003.exr")
    np.testing.assert_allclose(stored[..., names.index("matte.A")], scene.matte[2], atol=2e-3)


def test_an_alpha_that_is_not_used_is_spoken_of(tmp_path: Path, media: Path, scene: Scene) -> None:
    write_images(tmp_path / "plate.%04d.exr", scene.plate, 1001, "half", alpha=scene.matte)
    made = recipe(media, **{"matte.plugin": "draft.person"})
    shot = Shot(MediaRef(tmp_path / "plate.%04d.exr"), backdrop=MediaRef(media / "still.png"))
    watcher = render(shot, made, tmp_path / "out")
    assert any("--matte alpha" in text for text in watcher.said)


@pytest.mark.parametrize(("value", "words"), [(0, "matte is empty"), (1, "white all over")])
def test_a_matte_that_says_nothing_is_spoken_of_every_time(
    tmp_path: Path, media: Path, scene: Scene, value: int, words: str
) -> None:
    write_images(tmp_path / "matte.%04d.png", np.full_like(scene.plate, value), 1001, "uint16")
    shot = replace(exr_shot(media), matte=MediaRef(tmp_path / "matte.%04d.png"))
    for _ in range(2):  # the second time from the stages' stored results
        watcher = render(shot, recipe(media, relight_strength=0), tmp_path / "out")
        assert [text for text in watcher.said if words in text]
    assert not any(words in text for text in render(exr_shot(media), recipe(media), tmp_path / "out").said)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 64), (3, 2)])
def test_tiny_plates_work(tmp_path: Path, media: Path, height: int, width: int) -> None:
    picture = np.full((1, height, width, 3), 0.5, np.float32)
    write_images(tmp_path / "plate.%d.png", picture, 1)
    write_images(tmp_path / "matte.%d.png", np.ones_like(picture), 1)
    shot = Shot(
        MediaRef(tmp_path / "plate.1.png"),
        matte=MediaRef(tmp_path / "matte.1.png"),
        backdrop=MediaRef(media / "still.png"),
    )
    watcher = render(shot, recipe(media, relight_strength=0), tmp_path / "out")
    np.testing.assert_allclose(pixels(watcher.written[0].path)[0], picture[0], atol=0.003)


def test_every_frame_of_an_exr_keeps_its_data_window(tmp_path: Path, media: Path, scene: Scene) -> None:
    for index, (height, width) in enumerate([(72, 128), (50, 60), (20, 20)]):
        plate = np.ascontiguousarray(scene.plate[index, :height, :width])
        write_image(tmp_path / f"plate.{1001 + index}.exr", plate, "half", window=(0, 0, 128, 72))
    shot = replace(exr_shot(media), plate=MediaRef(tmp_path / "plate.%04d.exr"))
    watcher = render(shot, recipe(media), tmp_path / "out")
    sizes = [open_clip(MediaRef(written.path)).info.data_window for written in watcher.written]
    assert sizes == [(0, 0, 128, 72), (0, 0, 60, 50), (0, 0, 20, 20)]


def test_a_range_with_handles_keeps_the_plates_numbers(tmp_path: Path, media: Path) -> None:
    shot = replace(exr_shot(media), frames=FrameSet.parse("1003,1005-1006"), handles=1)
    watcher = render(shot, recipe(media), tmp_path / "out")
    assert [w.number for w in watcher.written] == [1002, 1003, 1004, 1005, 1006, 1007]
    clamped = replace(exr_shot(media), frames=FrameSet.between(1001, 1001), handles=1)
    assert str(render(clamped, recipe(media), tmp_path / "out2").frames) == "1001-1002"


@pytest.mark.parametrize(
    ("plate", "first", "name", "delivery"),
    [
        ("shot.%04d.png", 5, "", Delivery()),
        ("shot.%05d.png", 12345, "", Delivery()),
        ("other.%04d.png", 5, "shot", Delivery(("matte",), "png")),
        ("other.%04d.png", 5, "still", Delivery()),
    ],
)
def test_nothing_that_a_shot_is_made_from_is_overwritten(
    tmp_path: Path, media: Path, scene: Scene, plate: str, first: int, name: str, delivery: Delivery
) -> None:
    matte, still = tmp_path / f"shot_matte.%0{len(str(max(first, 1000)))}d.png", tmp_path / "still.0007.png"
    write_images(tmp_path / plate, scene.plate, first)
    write_images(matte, np.repeat(scene.matte[..., None], 3, -1), first, "uint16")
    still.write_bytes((media / "still.png").read_bytes())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    shot = Shot(MediaRef(tmp_path / plate), matte=MediaRef(matte), backdrop=MediaRef(still), name=name)
    with pytest.raises(StorageError, match="made from") as caught:
        render(shot, recipe(media), tmp_path, delivery)
    assert Path(caught.value.where) in before
    assert before == {path: path.read_bytes() for path in before}
    render(replace(shot, name="fresh"), recipe(media), tmp_path, delivery)
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize(
    ("file", "stem"),
    [("sc01.take1.mp4", "sc01.take1"), ("shot_%04d.png", "shot"), ("v2.a.%04d.png", "v2.a"), ("p.0007.png", "p")],
)
def test_results_are_named_after_the_plate(tmp_path: Path, media: Path, scene: Scene, file: str, stem: str) -> None:
    if file.endswith(".mp4"):
        write_movie(tmp_path / file, scene.plate[:1])
    elif "%" in file:
        write_images(tmp_path / file, scene.plate[:1], 1)
    else:
        (tmp_path / file).write_bytes((media / "still.png").read_bytes())
    shot = Shot(MediaRef(tmp_path / file), backdrop=MediaRef(media / "still.png"))
    made = recipe(media, **{"matte.plugin": "draft.supplied"})
    shot = replace(shot, matte=shot.plate)
    written = render(shot, made, tmp_path / "out").written[0].path
    assert re.sub(r"(\.\d{4})?\.\w+$", "", written.name) == stem


@pytest.mark.parametrize("name", ["../evil", "a/b", "a\\b", ".."])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(ShotError) as caught:
        Shot(MediaRef(Path("plate.mp4")), name=name)
    assert caught.value.where == "shot.name"


def test_one_frame_works(tmp_path: Path, media: Path) -> None:
    watcher = render(replace(movie_shot(media), frames=FrameSet.between(3, 3)), recipe(media), tmp_path / "out")
    assert pixels(watcher.written[0].path).shape[0] == 1


@pytest.mark.parametrize("at", [0.1, 0.5, 0.8])
def test_cancelling_leaves_no_thread_and_no_file_that_looks_finished(tmp_path: Path, media: Path, at: float) -> None:
    threads = threading.active_count()
    with pytest.raises(Cancelled):
        render(movie_shot(media), recipe(media), tmp_path / "out", watcher=Watcher(cancel_at=at))
    assert threading.active_count() == threads
    assert list((tmp_path / "out").iterdir()) == []
    assert not list((tmp_path / "stages").glob("*.part"))


def test_bad_input_is_refused_with_its_own_error(tmp_path: Path, media: Path) -> None:
    shot = movie_shot(media)
    small, short = tmp_path / "small.mp4", tmp_path / "short.mp4"
    write_movie(small, np.ones((COUNT, 36, 64, 3), np.float32))
    write_movie(short, np.ones((COUNT - 3, 72, 128, 3), np.float32))
    cases: list[tuple[Shot, type[InputError]]] = [
        (replace(shot, plate=MediaRef(media / "nothing.mp4")), MediaNotFoundError),
        (replace(shot, frames=FrameSet.between(5, 50)), FrameRangeError),
        (replace(shot, matte=MediaRef(small)), SizeMismatchError),
        (replace(shot, matte=MediaRef(short)), LengthMismatchError),
    ]
    for bad, kind in cases:
        with pytest.raises(kind) as caught:
            render(bad, recipe(media), tmp_path / "out")
        assert caught.value.where and caught.value.hint
        assert list((tmp_path / "out").iterdir()) == []


def test_what_a_plugin_cannot_read_is_no_full_disk(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, *inputs: object) -> Iterator[Chunk]:
        raise OSError(2, "No such file or directory", "vocabulary.json")
        yield {}

    monkeypatch.setattr("anyportal_core.plugins.draft.scene.harmonise.Light.relight", broken)
    with pytest.raises(AnyPortalError, match="a plug-in cannot use") as caught:
        render(movie_shot(media), recipe(media), tmp_path / "out")
    assert not isinstance(caught.value, StorageError) and caught.value.where == "vocabulary.json"
    assert not list((tmp_path / "stages").glob("*.part"))
