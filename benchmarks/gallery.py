"""Contact sheets of the draft preset: every clip before every backdrop, the plate, a naive composite and ours.

    python -m benchmarks.gallery [--data ../shared/data] [--out docs/gallery] [--clips 01,06] [--judge]

One sheet a clip, ``CLIP.jpg``, with a row for each backdrop: the plate; its own pixels through the supplied matte over
the moving background; ours with that matte; ours with the matte that is found. Whole shots are analysed and one frame
of each is delivered. The rows that ``picks.json`` in the folder names, with a word on why, are cut out and put together
as ``best.jpg`` and ``worst.jpg``, and ``index.md`` shows all of it. Without the data nothing is done.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import AnyPortalError
from anyportal_core.frames import FrameSet
from anyportal_core.media.clip import open_clip
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from benchmarks.overhead import Silent

ROOT = Path(__file__).parents[1]
COLUMNS = ("plate", "naive", "ours, matte supplied", "ours, matte found")
_NAIVE = {"finish.relight_strength": 0, "finish.clean_edges": False}
_WIDTH, _GAP, _LABEL, _QUALITY = 400, 4, 22, 82
_GREY, _WHITE = 40, (235, 235, 235)

Picture = NDArray[np.uint8]
"""``(h, w, 3)``, blue first, as OpenCV reads and writes it."""


@dataclass(frozen=True)
class Plate:
    """A clip and its supplied matte."""

    name: str
    path: Path
    matte: Path

    def frames(self) -> FrameSet:
        clip = open_clip(MediaRef(self.path))
        try:
            return FrameSet(tuple(clip.info.numbers))
        finally:
            clip.close()


class Studio:
    """Makes single frames of whole shots; what shots have in common is analysed once."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._cache = folder, DirectoryCache(folder / "cache")
        self._catalogue = load_catalogue()
        self._made = 0

    def row(self, plate: Plate, backdrop: Path) -> list[Picture]:
        """One picture a column; a note in place of what could not be made."""
        frames = plate.frames()
        middle = frames.numbers[len(frames) // 2]
        ways: Sequence[tuple[bool, Mapping[str, object]]] = ((True, _NAIVE), (True, {}), (False, {}))
        made = [self._comp(plate, backdrop, middle, frames, *way) for way in ways]
        return [_frame_of(plate.path, middle - frames.numbers[0]), *made]

    def _comp(
        self,
        plate: Plate,
        backdrop: Path,
        number: int,
        frames: FrameSet,
        supplied: bool,
        settings: Mapping[str, object],
    ) -> Picture:
        self._made += 1
        out = self._folder / f"made{self._made}"
        out.mkdir()
        given = frozenset({"matte"}) if supplied else frozenset[str]()
        recipe = resolve(RecipeRequest(BackdropChoice("still", "0" * 64), settings=settings), self._catalogue, given)
        matte = MediaRef(plate.matte) if supplied else None
        shot = Shot(
            MediaRef(plate.path),
            FrameSet((number,)),
            matte=matte,
            backdrop=MediaRef(backdrop),
            name="shot",
            within=frames,
        )
        try:
            render_shot(shot, recipe, Delivery(("comp",), "png"), out, self._cache, Silent(), self._catalogue)
        except AnyPortalError as error:
            return _note(error.message)
        (path,) = out.glob("*.png")
        return _read(path)


def _frame_of(path: Path, index: int) -> Picture:
    capture = cv2.VideoCapture(str(path))
    for _ in range(index + 1):
        there, image = capture.read()
        if not there:
            raise SystemExit(f"{path} has no frame {index}")
    return np.asarray(image, np.uint8)


def _read(path: Path) -> Picture:
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"{path} cannot be read")
    return np.asarray(image, np.uint8)


def _note(text: str) -> Picture:
    """A grey picture that says why there is no other."""
    picture = np.full((2 * _WIDTH // 3, _WIDTH, 3), _GREY, np.uint8)
    words, lines = text.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 40:
            lines.append("")
        lines[-1] += f"{word} "
    for place, line in enumerate(lines):
        _write(picture, line, (12, 60 + 20 * place))
    return picture


def _write(picture: Picture, text: str, at: tuple[int, int]) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _WHITE, 1, cv2.LINE_AA)


def sheet(rows: Sequence[tuple[str, Sequence[Picture]]]) -> Picture:
    """Rows of pictures, each with its name above, under the names of the columns."""
    head = np.full((_LABEL, (_WIDTH + _GAP) * len(COLUMNS) - _GAP, 3), _GREY, np.uint8)
    for place, name in enumerate(COLUMNS):
        _write(head, name, (place * (_WIDTH + _GAP) + 6, 16))
    parts = [head]
    for name, pictures in rows:
        height = round(_WIDTH * pictures[0].shape[0] / pictures[0].shape[1])
        label = np.full((_LABEL, head.shape[1], 3), _GREY, np.uint8)
        _write(label, name, (6, 16))
        cells = [cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA) for picture in pictures]
        gap = np.full((height, _GAP, 3), _GREY, np.uint8)
        parts += [label, np.concatenate([part for cell in cells for part in (cell, gap)][:-1], 1)]
    return np.concatenate(parts)


def _save(path: Path, picture: Picture) -> None:
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    print(f"{path.name}: {path.stat().st_size // 1024} KiB", flush=True)


@dataclass(frozen=True)
class Pick:
    """A row worth looking at."""

    clip: str
    backdrop: str
    why: str

    @property
    def name(self) -> str:
        return f"{self.clip} before {self.backdrop}"


def read_picks(folder: Path) -> dict[str, list[Pick]]:
    """The best and the worst rows, as somebody judged them who looked at every sheet."""
    path = folder / "picks.json"
    if not path.exists():
        return {}
    return {kind: [Pick(**pick) for pick in picks] for kind, picks in json.loads(path.read_text("utf-8")).items()}


def index(clips: Sequence[str], picks: Mapping[str, Sequence[Pick]]) -> str:
    """The page that shows the sheets."""
    return "\n".join(_lines(clips, picks)) + "\n"


def _lines(clips: Sequence[str], picks: Mapping[str, Sequence[Pick]]) -> Iterator[str]:
    yield "# The draft preset, looked at"
    yield ""
    yield "Made by `make gallery`: the middle frame of each shot before each backdrop, all settings as the preset has"
    yield f"them. Columns: {'; '.join(COLUMNS)}. The naive composite is the plate's own pixels through the supplied"
    yield "matte over the same moving background."
    for kind, title in (("best", "The best"), ("worst", "The worst")):
        if picks.get(kind):
            yield from ("", f"## {title}", "", f"![{title}]({kind}.jpg)", "")
            yield from (f"- **{pick.name}**: {pick.why}" for pick in picks[kind])
    yield from ("", "## Every clip before every backdrop")
    for name in clips:
        yield from ("", f"### Clip {name}", "", f"![Clip {name}]({name}.jpg)")


def plates(data: Path) -> list[Plate]:
    clips = data / "clips"
    names = sorted(path.name.removesuffix("_input.mp4") for path in clips.glob("*_input.mp4"))
    return [Plate(name, clips / f"{name}_input.mp4", clips / f"{name}_matte.mp4") for name in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "gallery")
    parser.add_argument("--clips", default="", help="only these, by name")
    parser.add_argument("--judge", action="store_true", help="only put the picks together anew, and the page")
    arguments = parser.parse_args()
    shots = [p for p in plates(arguments.data) if p.name in (arguments.clips or p.name).split(",")]
    stills = sorted((arguments.data / "backdrops").glob("*.jpg"))
    if not shots or not stills:
        print(f"no clips and backdrops in {arguments.data}: the gallery stays as it is")
        return 0
    if not arguments.judge:
        make(shots, stills, arguments.out)
    judge(arguments.out, [still.stem for still in stills])
    return 0


def make(shots: Sequence[Plate], stills: Sequence[Path], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for plate in shots:
        with tempfile.TemporaryDirectory() as name:
            studio = Studio(Path(name))
            rows = [(still.stem, studio.row(plate, still)) for still in stills]
        _save(out / f"{plate.name}.jpg", sheet(rows))


def judge(out: Path, backdrops: Sequence[str]) -> None:
    """Put the picked rows together, cut out of the sheets, and write the page."""
    picks = read_picks(out)
    for kind, chosen in picks.items():
        rows = [_cut(_read(out / f"{pick.clip}.jpg"), pick, backdrops) for pick in chosen]
        _save(out / f"{kind}.jpg", np.concatenate(rows))
    (out / "index.md").write_text(index(sorted(path.stem for path in _sheets(out)), picks), "utf-8")


def _cut(whole: Picture, pick: Pick, backdrops: Sequence[str]) -> Picture:
    """A row of a sheet under a name of its own."""
    height = (len(whole) - _LABEL) // len(backdrops)
    top = _LABEL + backdrops.index(pick.backdrop) * height
    row = whole[top : top + height].copy()
    row[:_LABEL] = _GREY
    _write(row, pick.name, (6, 16))
    return row


def _sheets(out: Path) -> Iterator[Path]:
    return (path for path in out.glob("*.jpg") if path.stem not in ("best", "worst"))


if __name__ == "__main__":
    sys.exit(main())
