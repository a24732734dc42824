"""`anyportal batch`: a whole cut, from its timeline to the timeline with results and the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from anyportal_client.cli.options import Daemon, Debug, Json, read_rate, read_settings
from anyportal_client.errors import UsageError
from anyportal_client.request import is_utf8, looks_like_a_path, split_layers


def batch(
    timeline: Annotated[
        Path,
        typer.Argument(metavar="TIMELINE", help="A cut: .otio, .otioz, .otiod, .edl, .xml, .fcpxml, .aaf."),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where results, the new timeline and the report go.")
    ] = None,
    backdrop: Annotated[
        str,
        typer.Option(
            metavar="PATH|TEXT|#rrggbb",
            help="The new surroundings, for every clip that does not say its own. Without it, only clips that carry"
            " a request are processed (docs/batch.md).",
        ),
    ] = "",
    preset: Annotated[str, typer.Option(metavar="NAME", help="See anyportal presets. Default: draft.")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting for every clip.")
    ] = None,
    handles: Annotated[
        int, typer.Option(metavar="N", min=0, help="Extra frames on both sides, as far as the media have them.")
    ] = 0,
    layers: Annotated[
        str, typer.Option(metavar="A,B", help="Of comp, foreground, background, matte, gain. Default: comp.")
    ] = "",
    output_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="As of submit. Default: auto, as the plate.")
    ] = "",
    rate: Annotated[
        str, typer.Option(metavar="FPS", help="The rate of an EDL, which does not say it: 25, 23.976.")
    ] = "",
    path_map: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Where a path of the timeline lies here; may be given often."),
    ] = None,
    search: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Look here for media that are not where the timeline says; may be given often."
        ),
    ] = None,
    export: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Write the cut in these formats too, a file for each version: clip1 (an .otio for older hosts), edl,"
            " fcp7, fcpx, aaf. What they will lose is said first.",
        ),
    ] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Run shots too that are there already and have not changed.")
    ] = False,
    ahead: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, max=100, help="Shots sent or queued at once.")
    ] = 4,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, and end.")] = False,
    daemon: Daemon = None,
    stdin_cancel: Annotated[
        bool | None,
        typer.Option(help='Cancel on {"cancel": true} or end of file on standard input, as submit does.'),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Give the clips of a timeline new backgrounds.

    Writes NAME_anyportal.otio, where each clip keeps its plate and has the result as active version, and report.html.
    Called again, it goes on where it was, and runs only what has changed.

    A shot that fails does not stop the others: the exit code is 9 then. Ctrl-C cancels what runs, what is done stays.
    """
    if out is None and not plan:
        raise UsageError("where shall the results go?", where="--out", hint="add --out DIR, or --plan")
    if layers and not split_layers(layers):
        raise UsageError("no layer is asked for", where="--layers", hint="name some: --layers comp,matte")
    given = {
        "backdrop": _from_here(backdrop),
        "preset": preset,
        "settings": read_settings(settings or []),
        "handles": handles,
        "layers": layers,
        "format": output_format,
    }
    _check_texts({"TIMELINE": timeline.absolute(), "--out": out.absolute() if out else "", **given})
    from anyportal_client.otio.batch import Wish, planned_batch, run_batch, show_plan
    from anyportal_client.otio.flatten import read_formats
    from anyportal_client.otio.places import read_path_map

    wish = Wish(
        timeline,
        out,
        {key: value for key, value in given.items() if value},
        rate=float(read_rate(rate)) if rate else None,
        moved=read_path_map(path_map or []),
        search=tuple(_folders(search or [])),
        exports=read_formats(export),
        again=again,
        ahead=ahead,
    )
    with planned_batch(wish, unpack=not plan) as ready:
        if plan:
            show_plan(ready, as_json)
        else:
            run_batch(ready, daemon, as_json, stdin_cancel)


def _folders(given: Iterable[Path]) -> Iterator[Path]:
    for folder in given:
        if not folder.is_dir():
            raise UsageError("there is no such folder", where="--search", hint=f"check the path {folder}")
        yield folder.absolute()


def _check_texts(given: Mapping[str, Any]) -> None:
    """Everything here becomes part of the new timeline, which is UTF-8."""
    for option, text in given.items():
        if not is_utf8(str(text)):
            raise UsageError(f"'{option}' is not UTF-8, and a timeline names it", where=str(text), hint="rename it")


def _from_here(backdrop: str) -> str:
    """A path on the command line starts from the working directory, not from the timeline's folder."""
    return str(Path(backdrop).absolute()) if backdrop and looks_like_a_path(backdrop) else backdrop
