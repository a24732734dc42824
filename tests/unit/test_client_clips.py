"""What people write for footage, ranges and backdrops, and what is sent for it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anyportal.v1 import media_pb2
from anyportal_client.clips import Clip, find_clip
from anyportal_client.errors import ClientError, MediaError, RecipeError, UsageError
from anyportal_client.hashing import HashCache
from anyportal_client.request import FrameNumbers, ShotRequest, read_backdrop
from anyportal_client.shot import make_ready
from anyportal_client.storage import ready_folder

GREY = "#808080"


def frames(folder: Path, numbers: range | list[int], name: str = "plate.{:04d}.exr") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / name.format(number)).write_bytes(b"x%d" % number)
    return folder


def movie(path: Path, count: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for value in range(count):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), value, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def blob(path: Path) -> media_pb2.Blob:
    return media_pb2.Blob(sha256=path.name, size_bytes=1)


@pytest.mark.parametrize(
    "notation",
    [
        "",
        "plate.%04d.exr",
        "plate.####.exr",
        "plate.#.exr",
        "plate.@@@@.exr",
        "plate.1001-1005#.exr",
        "plate.1001-1005####.exr",
        "plate.1001-1005%04d.exr",
    ],
)
def test_every_notation_of_a_sequence_is_the_same_clip(tmp_path: Path, notation: str) -> None:
    folder = frames(tmp_path / "plates", range(1001, 1006))
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    clip = find_clip(folder / notation, "plate")
    assert (clip.kind, clip.pattern, clip.numbers) == ("sequence", "plate.%04d.exr", list(range(1001, 1006)))
    manifest = clip.manifest(blob, Fraction(24000, 1001), "ACEScg")
    assert [(each.number, each.blob.sha256) for each in manifest.sequence.frames] == [
        (number, f"plate.{number}.exr") for number in range(1001, 1006)
    ]
    assert (manifest.frame_rate.numerator, manifest.frame_rate.denominator) == (24000, 1001)
    assert manifest.colour_space == "ACEScg"


@pytest.mark.parametrize("numbers", [[-3, -2, -1], [8, 9, 10, 11], [9999, 10000, 10001]])
def test_numbers_of_any_sign_and_width(tmp_path: Path, numbers: list[int]) -> None:
    folder = frames(tmp_path / "plates", numbers, "a_{}.png")
    clip = find_clip(folder, "plate")
    assert clip.numbers == numbers
    assert [file.path.name for file in clip.files] == [f"a_{number}.png" for number in numbers]


@pytest.mark.parametrize("folder", ["[x]", "a#b", "50%d", "q*?"])
@pytest.mark.parametrize("notation", ["[1-2] plate.%04d.exr", "[1-2] plate.####.exr", "[1-2] plate.1001-1003#.exr", ""])
def test_what_is_a_wildcard_elsewhere_is_a_letter_in_names(tmp_path: Path, folder: str, notation: str) -> None:
    if os.name == "nt" and "?" in folder:
        pytest.skip("no such names there")
    frames(tmp_path / folder, range(1001, 1004), "[1-2] plate.{:04d}.exr")
    clip = find_clip(tmp_path / folder / notation, "plate")
    assert (clip.pattern, clip.numbers) == ("[1-2] plate.%04d.exr", [1001, 1002, 1003])
    assert [file.path.read_bytes() for file in clip.files] == [b"x1001", b"x1002", b"x1003"]
    assert clip.files[0].path.parent == tmp_path / folder


def test_a_part_of_a_sequence_can_be_named(tmp_path: Path) -> None:
    folder = frames(tmp_path / "plates", range(1, 11))
    assert find_clip(folder / "plate.3-5#.exr", "plate").numbers == [3, 4, 5]
    with pytest.raises(MediaError) as caught:
        find_clip(folder / "plate.9-12#.exr", "plate")
    assert caught.value.code == "MISSING_FRAMES" and "11-12" in caught.value.message


def test_movies_and_stills_are_one_file(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mov", 5)
    clip = find_clip(path, "plate")
    assert (clip.kind, clip.count, clip.pattern) == ("movie", 5, "a.mov")
    assert clip.manifest(blob).file.filename == "a.mov"
    (tmp_path / "b.1001.png").write_bytes(b"x")
    assert find_clip(tmp_path / "b.1001.png", "mask").kind == "still"


@pytest.mark.parametrize(
    ("name", "pattern", "number"),
    [("p.1001.png", "p.%04d.png", 1001), ("a%d.v2.7.exr", "a_d.v2.%d.exr", 7), ("p.0000.png", "p.%04d.png", 0)],
)
def test_a_plate_that_is_one_frame_of_a_sequence_keeps_its_number(
    tmp_path: Path, name: str, pattern: str, number: int
) -> None:
    for each in (name, "p.1000.png"):
        (tmp_path / each).write_bytes(b"x")
    shot = make_ready(ShotRequest(tmp_path / name, GREY, frames=str(number)))
    sequence = shot.job(blob).shot.plate.sequence
    assert (sequence.pattern, [(frame.number, frame.blob.sha256) for frame in sequence.frames]) == (
        pattern,
        [(number, name)],
    )


@pytest.mark.parametrize("name", ["plate.jpg", "IMG_1001.jpg", "p.99999999999.png"])
def test_a_plate_without_a_number_is_a_still(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert make_ready(ShotRequest(tmp_path / name, GREY)).job(blob).shot.plate.file.filename == name


NO_UTF8 = os.fsdecode(b"caf\xe9")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file name is Unicode")


@on_linux
@pytest.mark.parametrize("name", ["{}.mov", "{}.png", "{}.1001.png", "{}/p.0001.png", "{}.%04d.png", "{}.####.png"])
def test_a_file_may_be_called_anything(tmp_path: Path, name: str) -> None:
    path = tmp_path / name.format(NO_UTF8)
    file = Path(str(path).replace("%04d", "0007").replace("####", "0007"))
    file.parent.mkdir(exist_ok=True)
    movie(file, 2) if file.suffix == ".mov" else file.write_bytes(b"x")
    shot = make_ready(ShotRequest(path, str(path), matte=path))
    digests = HashCache(tmp_path / "cache").digests(shot.paths())
    assert list(digests) == [file]
    job = shot.job(lambda path: media_pb2.Blob(sha256=digests[path].sha256, size_bytes=1))
    job.SerializeToString()
    sent = job.shot.plate.sequence.pattern or job.shot.plate.file.filename
    assert sent.isascii() and (sent.startswith("caf_.") or "/" in name)


@pytest.mark.parametrize(
    "asked",
    [
        {"subject": NO_UTF8},
        {"name": NO_UTF8},
        {"preset": NO_UTF8},
        {"colour_space": NO_UTF8},
        {"layers": ("comp", NO_UTF8)},
        {"labels": {"show": NO_UTF8}},
        {"settings": {"matte": {"plugin": NO_UTF8}}},
        {"settings": {NO_UTF8: 1}},
        {"backdrop": NO_UTF8},
    ],
    ids=str,
)
def test_a_text_that_cannot_be_sent_is_told(tmp_path: Path, asked: dict[str, Any]) -> None:
    request = replace(ShotRequest(frames(tmp_path / "p", range(1, 4)), GREY), **asked)
    with pytest.raises(UsageError, match="is not UTF-8") as caught:
        make_ready(request)
    assert caught.value.where == next(iter(asked)) and caught.value.hint


def bad_media(folder: Path) -> dict[str, Path]:
    folder.mkdir()
    (folder / "empty.mov").touch()
    (folder / "text.mov").write_text("not a movie, whatever its name says")
    movie(folder / "whole.mp4", 12)
    (folder / "cut.mp4").write_bytes((folder / "whole.mp4").read_bytes()[:600])
    frames(folder / "two", range(3), "a.{}.png")
    frames(folder / "two", range(3), "b.{}.png")
    frames(folder / "mixed", range(3))
    for name in ("a.mov", "take2.mov", "ref.jpg", "notes.txt"):
        (folder / "mixed" / name).write_bytes(b"x")
    (folder / "movie").mkdir()
    (folder / "movie" / "whole.mov").write_bytes(b"x")
    (folder / "none").mkdir()
    frames(folder / "gap", [1, 2, 4])
    frames(folder / "hollow", range(3))
    (folder / "hollow" / "plate.0001.exr").write_bytes(b"")
    return {path.name: path for path in folder.iterdir()} | {
        "missing.mov": folder / "missing.mov",
        "missing.####.exr": folder / "missing.####.exr",
        "no_folder": folder / "nowhere" / "a.mov",
    }


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("missing.mov", "MEDIA_NOT_FOUND", "no such plate"),
        ("missing.####.exr", "MEDIA_NOT_FOUND", "no such plate"),
        ("no_folder", "MEDIA_NOT_FOUND", "no such plate"),
        ("empty.mov", "MEDIA_UNREADABLE", "is empty"),
        ("text.mov", "MEDIA_UNREADABLE", "no movie"),
        ("cut.mp4", "MEDIA_UNREADABLE", "no movie"),
        ("two", "MEDIA_UNREADABLE", "exactly one sequence, but holds a.%d.png, b.%d.png"),
        ("mixed", "MEDIA_UNREADABLE", "exactly one sequence, but holds a.mov, plate.%04d.exr, ref.jpg, take2.mov"),
        ("movie", "MEDIA_UNREADABLE", "exactly one sequence, but holds whole.mov"),
        ("none", "MEDIA_NOT_FOUND", "without an image sequence"),
        ("gap", "MISSING_FRAMES", "lacks frame 3"),
        ("hollow", "MEDIA_UNREADABLE", "is empty"),
    ],
)
def test_bad_media_are_told_before_anything_is_sent(tmp_path: Path, name: str, code: str, says: str) -> None:
    path = bad_media(tmp_path / "bad")[name]
    with pytest.raises(MediaError, match=says) as caught:
        make_ready(ShotRequest(path, GREY))
    error = caught.value
    assert error.code == code and error.exit_code == 3
    assert name in error.where or str(path) in error.where
    assert error.hint


def test_files_that_are_not_needed_are_not_looked_at(tmp_path: Path) -> None:
    plate, matte = frames(tmp_path / "plate", range(1, 9)), frames(tmp_path / "matte", range(1, 9))
    for folder in (plate, matte):
        (folder / "plate.0001.exr").write_bytes(b"")
    shot = make_ready(ShotRequest(plate, GREY, matte=matte, frames="3-5", handles=1))
    assert [clip.numbers for clip in shot.clips()] == [[2, 3, 4, 5, 6]] * 2
    for needed in (ShotRequest(plate, GREY, frames="1-3"), ShotRequest(plate, GREY, frames="2", handles=1)):
        with pytest.raises(MediaError, match="is empty"):
            make_ready(needed)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_file_without_rights_is_told(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mov", 2)
    path.chmod(0)
    with pytest.raises(MediaError, match="cannot be read"):
        find_clip(path, "plate")


def test_a_misspelled_name_gets_the_nearest(tmp_path: Path) -> None:
    movie(tmp_path / "interview_v003.mov", 2)
    with pytest.raises(MediaError) as caught:
        find_clip(tmp_path / "interview_v03.mov", "plate")
    assert "interview_v003.mov" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("5", ((5, 5),)),
        ("1001-1003", ((1001, 1003),)),
        ("1005, 1009-1010", ((1005, 1005), (1009, 1010))),
        ("7,1-3,4", ((1, 4), (7, 7))),
        ("-5--3,-1-2", ((-5, -3), (-1, 2))),
        ("1-9,2-3", ((1, 9),)),
    ],
)
def test_ranges(text: str, runs: tuple[tuple[int, int], ...]) -> None:
    assert FrameNumbers.parse(text).runs == runs


@pytest.mark.parametrize("text", ["10-5", "abc", "1-", "1..5", "1,,2", ","])
def test_ranges_that_make_no_sense(text: str) -> None:
    with pytest.raises(MediaError) as caught:
        FrameNumbers.parse(text)
    assert caught.value.code == "FRAME_RANGE" and caught.value.hint


@pytest.mark.parametrize("text", ["999-1003", "1001-1011", "2000"])
def test_a_range_outside_the_clip(tmp_path: Path, text: str) -> None:
    with pytest.raises(MediaError, match="not inside the clip") as caught:
        make_ready(ShotRequest(frames(tmp_path / "p", range(1001, 1011)), GREY, frames=text))
    assert "1001-1010" in caught.value.hint
    with pytest.raises(MediaError, match="not inside the clip"):
        make_ready(ShotRequest(movie(tmp_path / "m.mp4", 4), GREY, frames="2-4"))


@pytest.mark.parametrize(
    ("numbers", "text", "handles", "missing"),
    [
        ([1, 2, 4, 5], "4-5", 0, ""),
        ([1, 2, 4, 5], "4-5", 1, ""),  # a hole where a handle would begin: the plate has no more
        ([1, 2, 4, 5], "4-5", 2, "3"),
        ([1, 2, 4, 5], "2-4", 0, "3"),
        ([1, 2, 4, 5], "3-4", 0, "3"),
        ([1, 5], "3", 0, "3"),
    ],
)
def test_holes_matter_where_frames_are_needed(
    tmp_path: Path, numbers: list[int], text: str, handles: int, missing: str
) -> None:
    request = ShotRequest(frames(tmp_path / "p", numbers), GREY, frames=text, handles=handles)
    if not missing:
        make_ready(request)
        return
    with pytest.raises(MediaError, match=f"lacks frames? {missing}"):
        make_ready(request)


def sent(clip: Clip | None) -> list[int]:
    assert clip is not None
    return clip.numbers


def test_a_matte_is_cut_as_the_plate_is(tmp_path: Path) -> None:
    plate = frames(tmp_path / "p", range(1001, 1021))
    same = frames(tmp_path / "same", range(1001, 1021), "m.{}.png")
    from_one = frames(tmp_path / "from_one", range(1, 21), "m.{}.png")
    as_range = frames(tmp_path / "as_range", range(1, 4), "m.{}.png")
    clip = movie(tmp_path / "m.mov", 20)

    def ready(matte: Path) -> tuple[list[int], list[int]]:
        shot = make_ready(ShotRequest(plate, GREY, matte=matte, frames="1005-1007", handles=1))
        return sent(shot.plate), sent(shot.matte)

    assert ready(same) == ([1004, 1005, 1006, 1007, 1008], [1004, 1005, 1006, 1007, 1008])
    assert ready(from_one) == ([1004, 1005, 1006, 1007, 1008], [4, 5, 6, 7, 8])
    assert ready(as_range)[1] == [1, 2, 3]
    assert len(ready(clip)[0]) == 20  # positions in a movie hold only beside the whole plate


def test_a_file_is_no_folder_for_results(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        ready_folder(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine" and ready_folder(tmp_path / "new" / "out").is_dir()


@pytest.mark.parametrize("asked", [{"mask_frame": 5}, {"layers": ()}])
def test_half_a_wish_is_refused(tmp_path: Path, asked: dict[str, Any]) -> None:
    plate = frames(tmp_path / "p", range(1, 10))
    with pytest.raises(UsageError) as caught:
        make_ready(ShotRequest(plate, GREY, **asked))
    assert caught.value.where == next(iter(asked)) and caught.value.hint
    make_ready(ShotRequest(plate, GREY, mask=plate / "plate.0005.exr", mask_frame=5))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400, [1, 2], None, {"1001": float("inf")}])
def test_a_setting_that_cannot_be_sent_is_named(tmp_path: Path, value: Any) -> None:
    plate = frames(tmp_path / "p", range(1, 4))
    with pytest.raises(RecipeError, match="relight_strength") as caught:
        make_ready(ShotRequest(plate, GREY, settings={"finish": {"relight_strength": value}}))
    assert (caught.value.exit_code, bool(caught.value.hint)) == (4, True)


@pytest.mark.parametrize("rate", [Fraction(0), Fraction(-24), Fraction(10**30), Fraction(1, 2**31), Fraction(1001)])
def test_a_rate_that_no_camera_has_is_told(tmp_path: Path, rate: Fraction) -> None:
    plate = frames(tmp_path / "p", range(1, 4))
    with pytest.raises(MediaError, match="no frame rate"):
        make_ready(ShotRequest(plate, GREY, frame_rate=rate))
    make_ready(ShotRequest(plate, GREY, frame_rate=Fraction(120000, 1001)))


@pytest.mark.parametrize("seed", [99999999999999999999, 2**63, -(2**63) - 1])
def test_a_seed_has_64_bits(tmp_path: Path, seed: int) -> None:
    plate = frames(tmp_path / "p", range(1, 4))
    with pytest.raises(RecipeError, match="64 bits") as caught:
        make_ready(ShotRequest(plate, GREY, seed=seed))
    assert (caught.value.code, caught.value.exit_code) == ("RECIPE", 4) and str(2**63 - 1) in caught.value.hint
    assert make_ready(ShotRequest(plate, GREY, seed=2**63 - 1)).job(blob).recipe.seed == 2**63 - 1


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({"seed_radius": 3}, {"seed_radius": 3, "matte": "draft.supplied"}),
        ({"matte.plugin": "mine"}, {"matte": "mine"}),
        ({"matte": {"plugin": "mine"}}, {"matte": "mine"}),
        ({"matte": {"soft": 1}}, {"soft": 1, "matte": "draft.supplied"}),
    ],
)
def test_the_plate_s_own_alpha_is_the_matte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], sent: dict[str, object]
) -> None:
    monkeypatch.chdir(tmp_path)
    plate = frames(tmp_path / "p", range(1, 4))
    shot = make_ready(ShotRequest(plate, GREY, matte="alpha", settings=settings))
    job = shot.job(blob)
    found = dict(job.recipe.settings)
    section = found.pop("matte", {})
    plugin = found.pop("matte.plugin", None) or section["plugin"]
    rest = {key: value for key, value in section.items() if key != "plugin"} if section else {}
    assert not job.shot.HasField("matte") and {**found, **rest, "matte": plugin} == sent


def test_a_file_called_alpha_is_a_matte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plate, _ = frames(tmp_path / "p", range(1, 4)), frames(tmp_path / "alpha", range(1, 4))
    job = make_ready(ShotRequest(plate, GREY, matte=Path("alpha"))).job(blob)
    assert len(job.shot.matte.sequence.frames) == 3 and "matte.plugin" not in job.recipe.settings


def test_what_lies_between_the_ends_of_a_sparse_range_is_context(tmp_path: Path) -> None:
    plate = frames(tmp_path / "p", range(1, 21))
    assert sent(make_ready(ShotRequest(plate, GREY, frames="5,9")).plate) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("#AABBCC", "colour", "#aabbcc"),
        ("a quiet beach at dusk", "prompt", "a quiet beach at dusk"),
        ("there", "media", "there"),
    ],
)
def test_backdrops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, kind: str, value: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    found = read_backdrop(text)
    assert (found.kind, found.value) == (kind, value)


@pytest.mark.parametrize("text", ["beach.jpg", "a beach.MOV", "shots/beach", "C:\\shots\\beach", "bg.####.exr"])
def test_a_misspelled_path_is_no_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    movie(tmp_path / "p.mov", 2)
    with pytest.raises(MediaError) as caught:
        make_ready(ShotRequest("p.mov", text))
    assert caught.value.code == "MEDIA_NOT_FOUND" and "backdrop" in caught.value.message


@pytest.mark.parametrize("text", ["", "  ", "#abc", "#gggggg"])
def test_backdrops_that_make_no_sense(text: str) -> None:
    with pytest.raises(RecipeError):
        read_backdrop(text)


def test_a_very_long_prompt_is_a_prompt() -> None:
    assert read_backdrop("a beach, " * 1000).kind == "prompt"


def test_errors_keep_everything_when_pickled() -> None:
    import pickle

    error = MediaError("it broke", code="FRAME_RANGE", where="a.mov", hint="mend it", job="jobs/1")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, MediaError) and isinstance(again, ClientError)
    assert vars(again) == vars(error)


def held(folder: Path, there: list[int], asked: str, missing: str = "hold") -> list[int]:
    """The numbers of the frames that are sent of a sequence with holes."""
    request = ShotRequest(frames(folder, there), GREY, frames=asked, missing=missing)
    return make_ready(request).plate.numbers


def test_what_stands_in_for_missing_ends_is_sent_along(tmp_path: Path) -> None:
    assert held(tmp_path / "a", [1001, 1002, 1005, 1006], "1003-1004") == [1002, 1005]
    assert held(tmp_path / "b", [1001, 1002, 1004, 1006], "1002-1004") == [1002, 1004]
    assert held(tmp_path / "c", [1001, 1002], "1002-1004") == [1002]
    with pytest.raises(MediaError):
        held(tmp_path / "d", [1001, 1002, 1004], "1002-1004", "error")


def test_a_pattern_may_name_frames_that_are_filled(tmp_path: Path) -> None:
    folder = frames(tmp_path, [1001, 1003])
    pattern = folder / "plate.1001-1004#.exr"
    assert make_ready(ShotRequest(pattern, GREY, missing="black")).plate.numbers == [1001, 1003]
    with pytest.raises(MediaError, match="lacks frames 1002,1004"):
        make_ready(ShotRequest(pattern, GREY))
