"""`anyportal submit`: one shot, from the request to the files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from anyportal_client.cli.options import (
    Daemon,
    Debug,
    Json,
    Overwrite,
    read_corrections,
    read_rate,
    read_settings,
)
from anyportal_client.cli.recipe_file import read_recipe
from anyportal_client.errors import UsageError
from anyportal_client.request import ShotRequest, split_layers


def submit(
    plate: Annotated[
        Path, typer.Argument(metavar="PLATE", help="A movie, a still, a folder, plate.%04d.exr or plate.####.exr.")
    ],
    backdrop: Annotated[
        str,
        typer.Option(metavar="PATH|TEXT|#rrggbb", help="The new surroundings: picture, clip, colour or text."),
    ] = "",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the results go.")] = None,
    matte: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH|alpha", help="The foreground's alpha: a clip, or the word alpha for the plate's own channel."
        ),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The foreground on one frame, carried through the shot.")
    ] = None,
    mask_frame: Annotated[
        int | None, typer.Option(metavar="N", help="The frame of --mask. Default: the first.")
    ] = None,
    corrections: Annotated[
        list[str] | None,
        typer.Option("--correct", metavar="N=PATH", help="A mask, or strokes, that correct the matte at frame N."),
    ] = None,
    clean_plate: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The place without its foreground: a still or a clip.")
    ] = None,
    garbage: Annotated[
        Path | None, typer.Option(metavar="PATH", help="White where no foreground is: a still or a clip.")
    ] = None,
    holdout: Annotated[
        Path | None, typer.Option(metavar="PATH", help="White where foreground is: a still or a clip.")
    ] = None,
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="See anyportal presets. Default: draft.")] = None,
    subject: Annotated[str | None, typer.Option(metavar="TEXT", help="Who or what is in the foreground.")] = None,
    frames: Annotated[
        str, typer.Option("--range", metavar="A-B", help="Frames in the plate's own numbers: 1001-1100 or 1005,1009.")
    ] = "",
    handles: Annotated[int, typer.Option(metavar="N", min=0, help="Extra frames on both sides.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting: relight_strength=0.5, matte.plugin=draft.key."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A recipe in TOML; options here win over it.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Source of every random draw. Default: 0.")] = None,
    layers: Annotated[
        str,
        typer.Option(metavar="A,B", help="Of comp, foreground, background, matte, gain, clean_plate, shadow, wrap."),
    ] = "comp",
    output_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="auto, mp4, h265, prores, prores4444, dnxhr, png, tiff, exr")
    ] = "auto",
    compression: Annotated[
        str, typer.Option(metavar="NAME", help="Of EXR files: zip, piz, none, or dwab, which is lossy.")
    ] = "zip",
    rate: Annotated[
        str, typer.Option(metavar="R", help="Frames per second of a sequence: 24, 23.976, 24000/1001.")
    ] = "",
    colour_space: Annotated[
        str, typer.Option(metavar="NAME", help="The plate's colour space, where its files do not say.")
    ] = "",
    backdrop_colour_space: Annotated[str, typer.Option(metavar="NAME", help="The backdrop's colour space.")] = "",
    out_colour_space: Annotated[
        str, typer.Option(metavar="NAME", help="The results' colour space. Default: the plate's; of EXR, its light.")
    ] = "",
    colour_config: Annotated[
        str,
        typer.Option(metavar="PATH|NAME", help="The OpenColorIO configuration that explains names. Default: $OCIO."),
    ] = "",
    within: Annotated[
        str, typer.Option(metavar="A-B", help="Frames to analyse: those of --range come out as in the whole of them.")
    ] = "",
    missing: Annotated[
        str, typer.Option(metavar="POLICY", help="For frames that a sequence lacks: error, hold or black.")
    ] = "error",
    name: Annotated[str, typer.Option(metavar="N", help="Names the results. Default: the plate's name.")] = "",
    priority: Annotated[int, typer.Option(metavar="N", min=-100, max=100, help="Jobs of a greater one run first.")] = 0,
    daemon: Daemon = None,
    folders: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="NAME=FOLDER",
            help="A folder that the daemon reaches too, by its name there: paths are sent instead of bytes.",
        ),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Queue the job and end; anyportal fetch gets the results.")
    ] = False,
    overwrite: Overwrite = False,
    stdin_cancel: Annotated[
        bool | None,
        typer.Option(help='Cancel on {"cancel": true} or the end of standard input. See docs/events.md.'),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Give one shot a new background and fetch the result.

    Where no daemon runs, one is started for this call. Ctrl-C cancels the job, a second Ctrl-C leaves at once.
    """
    given: dict[str, Any] = read_recipe(recipe) if recipe is not None else {}
    said = {"preset": preset, "subject": subject, "seed": seed, "backdrop": backdrop or None}
    given |= {key: value for key, value in said.items() if value is not None}
    given["settings"] = {**given.get("settings", {}), **read_settings(settings or [])}
    if "backdrop" not in given:
        raise UsageError("there is no backdrop", where="--backdrop", hint="give a picture, a clip, #rrggbb or a text")
    if out is None and not no_wait:
        raise UsageError("where shall the results go?", where="--out", hint="add --out DIR, or --no-wait")
    request = ShotRequest(
        plate,
        matte=matte,
        mask=mask,
        mask_frame=mask_frame,
        corrections=read_corrections(corrections or []),
        clean_plate=clean_plate,
        garbage=garbage,
        holdout=holdout,
        frames=frames,
        handles=handles,
        layers=split_layers(layers),
        format=output_format,
        name=name,
        frame_rate=read_rate(rate) if rate else None,
        colour_space=colour_space,
        backdrop_colour_space=backdrop_colour_space,
        out_colour_space=out_colour_space,
        colour_config=colour_config,
        within=within,
        missing=missing,
        compression=compression,
        priority=priority,
        **given,
    )
    from anyportal_client.cli.flow import Call
    from anyportal_client.mappings import read_mappings

    call = Call(daemon, as_json, stdin_cancel, read_mappings(folders or []))
    if no_wait or out is None:
        asyncio.run(call.queue(request))
    else:
        asyncio.run(call.submit(request, out, overwrite))
