"""A shot that was cut short, rendered again through the core: only the rest is made, to the same bytes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest

from anyportal_core import pipeline
from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import Cancelled
from anyportal_core.frames import FrameSet
from anyportal_core.media.writers import Written
from anyportal_core.pipeline import render_shot
from anyportal_core.plugins.draft.matte import person
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import write_images
from anyportal_core.testing.drawn import drawn_person

COUNT, FIRST, RUN = 10, 1001, 3


@dataclass
class Cutter:
    """Cuts a run short once a stage has told of so much."""

    stage: str = ""
    fraction: float = 0.0
    names: list[str] = field(default_factory=list)
    cut: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def started(self, frames: FrameSet, rate: Fraction) -> None: ...

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None:
        self.cut = self.cut or (stage == self.stage and stage_fraction >= self.fraction)

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self.seconds[stage] = seconds

    def files(self, written: Sequence[Written]) -> None:
        self.names += [file.path.name for file in written]

    def log(self, text: str, warning: bool = False) -> None:
        self.said.append(text)

    def checkpoint(self) -> None:
        if self.cut:
            raise Cancelled("cut short")


@dataclass
class Studio:
    """One shot of a person who is found, rendered in a folder for each run, all on one cache."""

    root: Path
    shot: Shot
    keys: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)

    def render(self, name: str, cutter: Cutter | None = None, finished: Collection[int] = ()) -> dict[str, str]:
        """Digests of the files that a run has made, by name."""

        def there(key: str) -> Collection[int]:
            self.keys.append(key)
            return finished

        made = resolve(
            RecipeRequest(BackdropChoice("colour", "#336699"), settings={"matte": {"plugin": "draft.person"}}),
            load_catalogue(),
            frozenset(),
        )
        folder = self.root / name
        folder.mkdir()
        cache, layers = DirectoryCache(self.root / "stages"), Delivery(("comp", "matte"), "png")
        render_shot(
            self.shot, made, layers, folder, cache, cutter or Cutter(), None, None, "cpu", there, self.begun.append
        )
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}

    def stages(self) -> list[str]:
        return sorted(path.name for path in (self.root / "stages").iterdir())


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    write_images(tmp_path / "plate.%04d.png", drawn_person(count=COUNT, height=48, width=64).plate, FIRST)
    return Studio(tmp_path, Shot(MediaRef(tmp_path / "plate.%04d.png")))


def test_a_matte_that_was_cut_short_goes_on_at_its_run(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person, "_RUN", RUN)
    looked: list[int] = []
    look = person.Selfie.__call__

    def counted(self: person.Selfie, frame: person.Image) -> person.Image:
        looked.append(1)
        return look(self, frame)

    monkeypatch.setattr(person.Selfie, "__call__", counted)
    expected = studio.render("undisturbed")
    results = studio.stages()
    assert len(looked) == COUNT
    for file in (studio.root / "stages").iterdir():
        file.unlink()
    looked.clear()
    with pytest.raises(Cancelled):
        studio.render("cut", Cutter("matte", 0.75))
    parts = [name for name in studio.stages() if name.startswith(studio.begun[-1])]
    assert parts == [f"{studio.begun[-1]}-{run}.h5" for run in (0, 1)], "two runs of three frames are whole"
    looked.clear()
    assert studio.render("again") == expected
    assert len(looked) == COUNT - 2 * RUN
    assert studio.stages() == results, "what is whole needs no parts"


def test_a_stage_that_went_on_took_what_all_of_it_took(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person, "_RUN", RUN)
    look, each = person.Selfie.__call__, 0.1

    def slowly(self: person.Selfie, frame: person.Image) -> person.Image:
        time.sleep(each)  # what is measured
        return look(self, frame)

    monkeypatch.setattr(person.Selfie, "__call__", slowly)
    with pytest.raises(Cancelled):
        studio.render("cut", Cutter("matte", 0.75))
    rest = Cutter()
    studio.render("again", rest)
    assert rest.seconds["matte"] >= COUNT * each, "also of the two runs of frames that were there"


def test_damage_is_told_of(studio: Studio) -> None:
    expected = studio.render("undisturbed")
    (matte,) = [name for name in studio.stages() if name == f"{studio.begun[0]}.h5"]
    path = studio.root / "stages" / matte
    path.write_bytes(path.read_bytes()[:-100])
    again = Cutter()
    assert studio.render("again", again) == expected
    told = [text for text in again.said if "stored" in text]
    assert told == ["the stored result of matte was damaged: computed again"]


def test_frames_that_are_finished_are_not_made_again(studio: Studio) -> None:
    expected = studio.render("undisturbed")
    cutter = Cutter("finish", 0.35)
    with pytest.raises(Cancelled):
        studio.render("cut", cutter)
    assert len(cutter.names) == 2 * 4
    rest = studio.render("again", finished=range(FIRST, FIRST + 4))
    assert rest == {name: digest for name, digest in expected.items() if name not in cutter.names}
    assert studio.render("nothing left", finished=range(FIRST, FIRST + COUNT)) == {}
    assert len(set(studio.keys)) == 1, "the same job's files are always decided by the same"


def test_files_of_other_code_are_others(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.render("before")
    monkeypatch.setattr(pipeline, "CODE_VERSION", pipeline.CODE_VERSION + 1)
    studio.render("after")
    monkeypatch.setattr(pipeline, "version", lambda name: "another")
    studio.render("later")
    assert len(set(studio.keys)) == 3


def test_a_movie_is_made_anew(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "resolve_format", lambda wanted, info: "mp4")
    whole = studio.render("whole")
    assert whole and studio.render("again", finished=range(FIRST, FIRST + 4)) == whole
