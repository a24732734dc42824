"""The report of a batch: one HTML file that needs nothing else, with before and after of every shot."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from anyportal_client.otio.outcomes import Outcome, Result, version_name
from anyportal_client.otio.pictures import Pair, pairs_of
from anyportal_client.otio.plan import Plan, PlannedShot
from anyportal_client.otio.thumbnails import thumbnails
from anyportal_client.version import __version__

_SWATCH = (200, 200)
_FLICKER = "How far brightness jumps from its course between neighbouring frames, in percent of white"
_DETAIL = "Fine contrast of the foreground against its brightness; compression takes it from grain first"
_STAGES = ("matte", "clean_plate", "tracks", "motion", "first_frame", "background", "harmonise", "refine", "finish")


@dataclass(frozen=True)
class Written:
    """What the batch left beside the report.

    Args:
        timeline: the timeline; its name is the report's title.
        exports: the cut in other formats.
        remarks: what somebody should know of the cut as a whole.
        seconds: wall time of the whole batch.
    """

    timeline: Path
    exports: Sequence[Path] = ()
    remarks: Sequence[str] = ()
    seconds: float = 0.0


def write_report(
    plan: Plan, outcomes: Mapping[str, Outcome], path: Path, written: Written, cache: Path | None = None
) -> None:
    """Write the report aside, then rename it.

    Args:
        plan: the shots, in the order of the cut.
        outcomes: by name of shot.
        path: the HTML file.
        written: what else is there.
        cache: a folder where the pictures are kept for the next report.
    """
    template = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    shots = [(shot, outcomes[shot.same_as or shot.name]) for shot in plan.shots]
    pictures = pairs_of(shots, cache)
    page = template.substitute(
        version=__version__,
        title=escape(written.timeline.stem.removesuffix("_anyportal")),
        timeline="".join(f'<p class="mono">{escape(str(each))}</p>' for each in (written.timeline, *written.exports)),
        remarks="".join(f'<p class="note">{escape(text)}</p>' for text in written.remarks),
        sums=_sums(shots, written.seconds),
        index="\n".join(_link(shot, outcome) for shot, outcome in shots),
        shots="\n".join(_article(shot, outcome, pictures.get(shot.name, [])) for shot, outcome in shots),
    )
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")  # another batch may write its own at this moment
    aside.write_text(page, encoding="utf-8", errors="replace")
    aside.replace(path)


def _sums(shots: Sequence[tuple[PlannedShot, Outcome]], seconds: float) -> str:
    states = [outcome.state for _, outcome in shots]
    made = ((shot, outcome) for shot, outcome in shots if outcome.state == "done" and not shot.same_as)
    frames = sum(_length(outcome.result) for _, outcome in made)
    entries = [(str(len(shots)), "shot" if len(shots) == 1 else "shots")]
    entries += [(str(states.count(state)), state) for state in dict.fromkeys(states)]
    entries += [(str(frames), "frames made"), (_time(seconds), "in all")]
    return "".join(f"<li><b>{number}</b><span>{word}</span></li>" for number, word in entries)


def _length(result: Result | None) -> int:
    return result.frames[1] - result.frames[0] + 1 if result else 0


def _link(shot: PlannedShot, outcome: Outcome) -> str:
    name = escape(shot.name)
    return (
        f'<li class="{outcome.state}"><a href="#{name}"><i class="dot" title="{outcome.state}"></i>'
        f"<span>{name}</span></a></li>"
    )


def _article(shot: PlannedShot, outcome: Outcome, found: Sequence[Pair]) -> str:
    """A shot's part of the page. One that cannot be shown says so and leaves the others alone."""
    try:
        return _shot(shot, outcome, found)
    except Exception as error:
        return (
            f'<article class="shot {outcome.state}" id="{escape(shot.name)}"><header>'
            f'<h2><i class="dot"></i>{escape(shot.name)}</h2><p>{outcome.state}</p></header>'
            f'<div class="error"><p>It cannot be shown here: {escape(f"{type(error).__name__}: {error}")}</p></div>'
            "</article>"
        )


def _shot(shot: PlannedShot, outcome: Outcome, found: Sequence[Pair]) -> str:
    about = [shot.track, _media(shot), _frames(shot), _retime(shot)]
    return "".join(
        [
            f'<article class="shot {outcome.state}" id="{escape(shot.name)}"><header>',
            f'<h2><i class="dot"></i>{escape(shot.name)}</h2>',
            *(f"<p>{escape(text)}</p>" for text in about if text),
            f"<p>{_state(outcome)}</p>" if outcome.state != "done" else "",
            '<button type="button" aria-pressed="false">Enlarge</button>' if found else "",
            "</header>",
            f'<div class="frames{" one" if len(found) == 1 else ""}">' if found else "",
            *(_compare(pair) for pair in found),
            "</div>" if found else "",
            _error(shot, outcome),
            f'<div class="facts">{"".join(_facts(shot, outcome))}</div>' if shot.request else "",
            *(f'<p class="note">{escape(note)}</p>' for note in (*shot.notes, *_warnings(outcome))),
            "</article>",
        ]
    )


def _warnings(outcome: Outcome) -> Sequence[str]:
    """What was warned of while the result was made: frames to look at, for one."""
    found = outcome.result.metadata.get("warnings") if outcome.result else None
    return [str(text) for text in found] if isinstance(found, Sequence) and not isinstance(found, str) else []


def _state(outcome: Outcome) -> str:
    return "as it was: nothing has changed" if outcome.state == "reused" else outcome.state


def _compare(pair: Pair) -> str:
    pictures = [(kind, jpeg) for kind, jpeg in (("before", pair.before), ("after", pair.after)) if jpeg]
    caption = f"<figcaption>Frame {pair.number}</figcaption>"
    if not pictures:
        return f'<figure><div class="nothing">no preview of this format</div>{caption}</figure>'
    only = "" if len(pictures) == 2 else " only"
    images = "".join(
        f'<img class="{kind}" alt="Frame {pair.number} {kind}" src="{_data_url(jpeg)}">' for kind, jpeg in pictures
    )
    slider = (
        f'<input type="range" min="0" max="100" value="50" aria-label="Frame {pair.number}: how much is before">'
        if not only
        else ""
    )
    width, height = _jpeg_size(pictures[-1][1])
    return (
        f'<figure><div class="compare{only}" style="--ratio: {width / height:.5f}">{images}<i></i>'
        f'<span class="tag left">before</span><span class="tag right">{pictures[-1][0]}</span>{slider}</div>'
        f"{caption}</figure>"
    )


def _error(shot: PlannedShot, outcome: Outcome) -> str:
    if outcome.state == "skipped":
        lines = [f"Skipped: {shot.problem}"]
    elif outcome.state == "cancelled":
        lines = ["Cancelled before it was finished."]
    elif outcome.error:
        error = outcome.error
        lines = [error.message, " · ".join(filter(None, [error.where, error.hint, error.code]))]
    else:
        return ""
    return f'<div class="error">{"".join(f"<p>{escape(line)}</p>" for line in lines)}</div>'


def _facts(shot: PlannedShot, outcome: Outcome) -> Iterator[str]:
    yield f"<section><h3>Request</h3>{_backdrop(shot)}{_definitions(_request(shot, outcome))}</section>"
    if outcome.result:
        yield f"<section><h3>Time</h3>{_stages(outcome)}{_figures(outcome.result)}</section>"
        yield f"<section><h3>Versions</h3>{_versions(shot, outcome)}</section>"
        recipe = outcome.result.metadata.get("recipe")
        if recipe:
            text = json.dumps(recipe, indent=2, ensure_ascii=False)
            yield f"<details><summary>The whole recipe</summary><pre>{escape(text)}</pre></details>"


def _request(shot: PlannedShot, outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """Name, value and origin of what was asked for."""
    request, origins = shot.request, shot.origins
    assert request is not None
    values = {"preset": request.preset, "matte": Path(request.matte).name, "mask": Path(request.mask).name}
    values |= {"subject": request.subject, "seed": str(request.seed)}
    for name, value in values.items():
        if value:
            yield name, value, origins.get(name, "")
    for name, value in request.settings.items():
        yield name, json.dumps(value) if not isinstance(value, str) else value, origins.get(f"settings.{name}", "")
    if shot.same_as:
        yield "result", f"that of {shot.same_as}: frames of the same media, asked for alike", ""
    elif shot.covers:
        yield "processed", f"frames {shot.range}, for other shots as well", ""
    job = outcome.job or (outcome.result.metadata.get("job", "") if outcome.result else "")
    if job:
        yield "job", job.removeprefix("jobs/"), ""
    if outcome.result and outcome.result.metadata.get("recipe_digest"):
        yield "recipe", outcome.result.metadata["recipe_digest"][:16], ""


def _definitions(entries: Iterator[tuple[str, str, str]]) -> str:
    lines = (
        f"<dt>{escape(name)}</dt><dd>{escape(value)}{f'<small>{escape(origin)}</small>' if origin else ''}</dd>"
        for name, value, origin in entries
    )
    return f"<dl>{''.join(lines)}</dl>"


def _backdrop(shot: PlannedShot) -> str:
    assert shot.request is not None
    value, origin = shot.request.backdrop, escape(shot.origins.get("backdrop", ""))
    if value.startswith("#"):
        sample, name = f'<span class="swatch" style="background: {escape(value)}"></span>', value
    else:
        picture = thumbnails(Path(value), [0], _SWATCH).get(0) if Path(value).suffix else None
        sample = f'<img alt="" src="{_data_url(picture)}">' if picture else ""
        name = Path(value).name if picture else value
    return f'<p class="backdrop">{sample}<span>{escape(name)} <small>{origin}</small></span></p>'


def _figures(result: Result) -> str:
    """What was measured of the pictures, and what it is held against."""
    found = result.metadata.get("figures") or {}
    lines = []
    if "flicker" in found:
        of = f" (plate {found['flicker_plate']:.2f} %)" if "flicker_plate" in found else ""
        lines.append(("flicker", f"{found['flicker']:.2f} %", of, _FLICKER))
    if "detail" in found:
        lines.append(("detail", f"{found['detail']:.0f} %", " of the plate's", _DETAIL))
    rows = "".join(
        f'<dt title="{escape(about)}">{name}</dt><dd title="{escape(about)}">{value}<small>{escape(of)}</small></dd>'
        for name, value, of, about in lines
    )
    return f"<h3>Steadiness and detail</h3><dl>{rows}</dl>" if rows else ""


def _stages(outcome: Outcome) -> str:
    if outcome.state == "reused":
        return "<p>None: it is there from an earlier run, and nothing has changed since.</p>"
    longest = max(outcome.stage_seconds.values(), default=0) or 1
    lines = [
        f'<li><span>{escape(stage)}</span><b style="width: {100 * seconds / longest:.1f}%"></b>'
        f"<span>{_time(seconds)}</span></li>"
        for stage, seconds in sorted(outcome.stage_seconds.items(), key=_order)
    ]
    total = f'<p class="total">{_time(outcome.seconds)} with waiting and transfers</p>'
    return f'<ol class="stages">{"".join(lines)}</ol>{total}'


def _order(entry: tuple[str, float]) -> int:
    """Stages in the order they run; those this client does not know come last."""
    return _STAGES.index(entry[0]) if entry[0] in _STAGES else len(_STAGES)


def _versions(shot: PlannedShot, outcome: Outcome) -> str:
    assert outcome.result is not None
    current = version_name(outcome.result.version)
    by_file: dict[Path, list[str]] = {}
    for layer, file in outcome.result.files.items():
        by_file.setdefault(file, []).append(layer)
    lines = [
        f'<li class="active">{current} <span class="mono" title="{escape(str(file))}">{escape(file.name)}</span> '
        f"{escape(', '.join(layers))}</li>"
        for file, layers in by_file.items()
    ]
    earlier = [key.removeprefix("anyportal_") for key in shot.clip.media_references() if key.startswith("anyportal_")]
    lines += [f"<li>{escape(version)}</li>" for version in reversed(earlier) if version != current]
    return f'<ul class="versions">{"".join(lines)}</ul>'


def _media(shot: PlannedShot) -> str:
    if shot.media is None:
        return ""
    path = shot.media.path
    return f"{path.parent.name}/{path.name}" if path.name.startswith("%0") else path.name


def _frames(shot: PlannedShot) -> str:
    if shot.span is None:
        return ""
    handles = f", handles {shot.span.head} + {shot.span.tail}" if shot.span.head or shot.span.tail else ""
    first, last = shot.span.first, shot.span.last
    return f"frames {first}–{last}{handles}" if first != last else f"frame {first}{handles}"


def _retime(shot: PlannedShot) -> str:
    return f"speed {shot.span.speed:g}" if shot.span and shot.span.speed != 1 else ""


def _time(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"


def _jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height out of the baseline frame header."""
    at = jpeg.index(b"\xff\xc0")
    return int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big")
