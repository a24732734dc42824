"""Some frames of a shot once more, analysed within the whole of it: the same bytes, and no more work than needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anyportal_core.delivery import Delivery
from anyportal_core.errors import FrameRangeError
from anyportal_core.frames import FrameSet
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.testing.clips import moving_scene, write_images
from tests.integration.core_house import Heard, recipe_for, render

COUNT = 16
LAYERS = Delivery(("comp", "matte", "gain"), "exr")
WHOLE = FrameSet.between(1001, 1000 + COUNT)


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    scene = moving_scene(COUNT, 54, 96)
    write_images(tmp_path / "plate.%04d.exr", scene.plate, 1001, "half")
    write_images(tmp_path / "matte.%04d.png", np.repeat(scene.matte[..., None], 3, -1), 1001, "uint16")
    write_images(tmp_path / "still.1.png", moving_scene(1, 60, 100, seed=7).background)
    return Shot(
        MediaRef(tmp_path / "plate.%04d.exr"),
        matte=MediaRef(tmp_path / "matte.%04d.png"),
        backdrop=MediaRef(tmp_path / "still.1.png"),
    )


def again(shot: Shot, frames: str, within: FrameSet | None = WHOLE, **more: object) -> Shot:
    return replace(shot, frames=FrameSet.parse(frames), within=within, **more)  # type: ignore[arg-type]


def retake(shot: Shot, out: Path, **settings: object) -> Heard:
    return render(shot, recipe_for(out.parent / "still.1.png", **settings), out, LAYERS)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_retake_is_the_whole_shots_own_frames_and_only_the_finish_runs(shot: Shot, tmp_path: Path) -> None:
    whole = retake(shot, tmp_path / "whole")
    some = retake(again(shot, "1006-1007,1010"), tmp_path / "some")
    assert some.keys == whole.keys
    assert {stage for stage, reused in some.reused.items() if not reused} == {"finish"}
    made = files(tmp_path / "some")
    assert {name[-8:-4] for name in made} == {"1006", "1007", "1010"}
    assert made.items() <= files(tmp_path / "whole").items()


def test_made_first_a_retake_is_the_same_too(shot: Shot, tmp_path: Path) -> None:
    retake(again(shot, "1016"), tmp_path / "some")
    whole = retake(shot, tmp_path / "whole")
    assert all(whole.reused[stage] for stage in whole.reused if stage != "finish")
    assert files(tmp_path / "some").items() <= files(tmp_path / "whole").items()


def test_without_its_surroundings_a_frame_is_another(shot: Shot, tmp_path: Path) -> None:
    retake(shot, tmp_path / "whole")
    alone = retake(again(shot, "1010", within=None), tmp_path / "alone")
    assert not any(alone.reused.values())
    assert not files(tmp_path / "alone").items() <= files(tmp_path / "whole").items()


def test_a_setting_of_the_finish_runs_the_finish_alone_and_leaves_the_other_frames(shot: Shot, tmp_path: Path) -> None:
    retake(shot, tmp_path / "out")
    before = files(tmp_path / "out")
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    heard = retake(again(shot, "1003-1004"), tmp_path / "out", relight_strength=0.3)
    assert [stage for stage, reused in heard.reused.items() if not reused] == ["finish"]
    changed = {name for name, data in files(tmp_path / "out").items() if data != before[name]}
    assert changed == {name for name in before if "1003" in name or "1004" in name}
    touched = {path.name for path in (tmp_path / "out").iterdir() if path.stat().st_mtime_ns != stamps[path.name]}
    assert touched == changed


def test_a_setting_of_a_stage_changes_the_frames_asked_for_alone(shot: Shot, tmp_path: Path) -> None:
    retake(shot, tmp_path / "out")
    before = files(tmp_path / "out")
    heard = retake(again(shot, "1003-1004"), tmp_path / "out", exposure=-1)
    assert [stage for stage, reused in heard.reused.items() if not reused] == ["harmonise", "refine", "finish"]
    changed = {name for name, data in files(tmp_path / "out").items() if data != before[name]}
    assert changed == {name for name in before if "1003" in name or "1004" in name}


def test_frames_that_are_not_delivered_are_not_finished(
    shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anyportal_core.stages.finish import Finish, _Begun

    finished: list[int] = []
    made = Finish._made

    def counted(self: Finish, begun: _Begun) -> object:
        finished.append(begun.index)
        return made(self, begun)

    monkeypatch.setattr(Finish, "_made", counted)
    retake(again(shot, "1002,1015", within=None), tmp_path / "out")
    assert sorted(finished) == [0, 13]


def test_handles_end_where_the_shot_that_is_analysed_ends(shot: Shot, tmp_path: Path) -> None:
    within = FrameSet.between(1004, 1008)
    heard = retake(again(shot, "1005", within, handles=2), tmp_path / "out")
    assert sorted({file.number for file in heard.written}) == [1004, 1005, 1006, 1007]
    everything = retake(replace(shot, within=within), tmp_path / "all")
    assert sorted({file.number for file in everything.written}) == [1004, 1005, 1006, 1007, 1008]


@pytest.mark.parametrize(
    ("frames", "within", "where", "hint"),
    [
        ("1009-1012", "1001-1010", "shot.frames", "1001-1010"),
        ("1001", "1002-1010", "shot.frames", "1002-1010"),
        ("1001", "900-1010", "shot.within", "1001-1016"),
        ("1001", "1001-1017", "shot.within", "1001-1016"),
        ("2001", "2001-2003", "shot.within", "1001-1016"),
    ],
)
def test_frames_outside_are_refused(
    shot: Shot, tmp_path: Path, frames: str, within: str, where: str, hint: str
) -> None:
    with pytest.raises(FrameRangeError, match="is not inside") as caught:
        retake(again(shot, frames, FrameSet.parse(within)), tmp_path / "out")
    assert caught.value.where == where and hint in caught.value.hint


def test_the_mask_of_a_retake_is_the_whole_shots(shot: Shot, tmp_path: Path) -> None:
    mask = MediaRef(tmp_path / "matte.1001.png")
    followed = replace(shot, matte=None, mask=mask)
    settings = {"matte.plugin": "draft.propagate"}
    whole = retake(followed, tmp_path / "whole", **settings)
    some = retake(again(followed, "1008"), tmp_path / "some", **settings)
    assert some.keys == whole.keys and files(tmp_path / "some").items() <= files(tmp_path / "whole").items()
