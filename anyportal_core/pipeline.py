"""A shot goes in, its layers come out: the stages in order, each reused where nothing it reads has changed."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from anyportal_core.cache import StageCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.errors import GpuTooSmallError
from anyportal_core.frames import FrameSet
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import Encoding, output_encoding, require_colours
from anyportal_core.media.movie import MovieClip
from anyportal_core.media.movie_formats import MOVIE_FORMATS
from anyportal_core.media.ocio import open_config
from anyportal_core.media.output import MOVIES, refuse_overwriting, result_name
from anyportal_core.media.sound import Sound
from anyportal_core.media.writers import Written, check_size, open_writer
from anyportal_core.models import Models
from anyportal_core.ops import opencv
from anyportal_core.recipe import Recipe, canonical_json
from anyportal_core.record import Extent, Recorder, StageRecord
from anyportal_core.registry import Catalogue
from anyportal_core.shot import Shot
from anyportal_core.stages import cuts
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.checks import backdrop_doubts, check_foreground, check_one_shot, matte_doubts
from anyportal_core.stages.finish import CODE_VERSION, Finish, check_layers
from anyportal_core.stages.material import CODE_VERSION as READING
from anyportal_core.stages.material import Material
from anyportal_core.stages.notes import Notes
from anyportal_core.stages.parts import Parts
from anyportal_core.stages.results import Result, kept, write_result
from anyportal_core.stages.stage import FINISH_SHARE, Stage, paints, stages

MOST_RECIPE = 1 << 16
"""Bytes of a recipe that a result carries in words; of a longer one, with large tables, it carries the digest alone."""


class Observer(Protocol):
    """Who is told how a shot gets on. Called from the thread that renders."""

    def started(self, frames: FrameSet, rate: Fraction) -> None:
        """The shot's media are open: these frames will be delivered."""
        ...

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None:
        """Fractions are 0..1; ``fraction`` never falls and ends at 1."""
        ...

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None: ...

    def files(self, written: Sequence[Written]) -> None:
        """Files of the result that are finished."""
        ...

    def log(self, text: str, warning: bool = False) -> None: ...

    def checkpoint(self) -> None:
        """Called often; raise Cancelled to end the run."""
        ...


def render_shot(
    shot: Shot,
    recipe: Recipe,
    delivery: Delivery,
    folder: Path,
    cache: StageCache,
    observer: Observer,
    catalogue: Catalogue | None = None,
    models: Models | None = None,
    device: str = "cpu",
    finished: Callable[[str], Collection[int]] = lambda key: (),
    begun: Callable[[str], None] = lambda key: None,
) -> None:
    """Render a shot's layers into ``folder``.

    A run that was cut short goes on where it was: finished stages come from the cache, and so do the finished parts of
    the stage that was at work, where its plug-in keeps them; of a sequence, frames that are finished are left out.

    Args:
        catalogue: the plug-ins there are; read from the entry points where it is left out.
        models: where weights lie; as $ANYPORTAL_MODELS says where it is left out.
        device: where networks run: ``cpu``, ``cuda:0``.
        finished: called before the first frame is made, with a digest of all that decides its bytes; gives the
            numbers of frames that were made under the same one before. Movies are made anew.
        begun: called with the key of every stage that has to run, before it does: parts of it lie in the cache from
            then on, until its result does.

    Raises:
        AnyPortalError: whatever keeps the shot from being rendered; no unfinished file stays behind.
    """
    models = models or Models.configured()
    cast = Cast(recipe, catalogue or load_catalogue(), observer.checkpoint, observer.log, models, device)
    planned = stages(recipe, cast)
    check_layers(delivery, [stage.name for stage in planned])
    models.require(name for stage in planned for name in cast.used_models(stage.role))
    _check_memory(planned, cast)
    if shot.colour_config:
        open_config(shot.colour_config)  # one that is no good is told of, whether or not a name needs it
    material = Material(shot, recipe, [cast.spec(stage.role).limits for stage in planned])
    try:
        observer.started(material.deliver, material.rate)
        if isinstance(observer, Recorder):
            observer.opened(_extent(material))
        for text in material.remarks():
            observer.log(text, warning=True)
        for note in backdrop_doubts(material):
            observer.log(note.text, note.warning)
        check_size(resolve_format(delivery.format, material.info), *material.info.shown_size)
        require_colours(material.info.encoding, str(material.info.path))
        _wanted(material, delivery)
        _part(material, cast, cache, _Report(observer, planned[0].name, 0.0, 0.0))
        keys = _analyse(planned, material, cast, cache, observer, begun)
        _deliver(material, cast, delivery, folder, observer, keys, finished)
    finally:
        material.close()


def _part(material: Material, cast: Cast, cache: StageCache, report: _Report) -> None:
    """Find the cuts in the shot; a background is painted for none that has one, else they are told."""
    found = cuts.look_at(material, cache, lambda: report(0.0))
    if material.recipe.work.text("cuts") == "found":
        material.takes = found.takes
    if paints(material.recipe, cast):
        check_one_shot(material)
    for text in found.remarks(material.takes, material.numbers):
        report.warn(text)


def _check_memory(planned: Sequence[Stage], cast: Cast) -> None:
    """Raises GpuTooSmallError where a stage would not fit, before the hours that those before it may take."""
    if cast.device == "cpu":
        return
    refusals = []
    for role in dict.fromkeys(stage.role for stage in planned):
        try:
            cast.check_memory(role)
        except GpuTooSmallError as error:
            refusals.append(f"{role}: {error.message}")
            hint = error.hint
    if refusals:
        raise GpuTooSmallError("; ".join(refusals), where=cast.device, hint=hint)


def _analyse(
    planned: Sequence[Stage],
    material: Material,
    cast: Cast,
    cache: StageCache,
    observer: Observer,
    begun_stage: Callable[[str], None],
) -> dict[str, str]:
    """Run or reuse every stage before the finish; gives the keys of their results by name."""
    media = material.digests()
    keys: dict[str, str] = {}
    done, whole = 0.0, sum(stage.share for stage in planned) / (1 - FINISH_SHARE)
    for stage in planned:
        observer.checkpoint()
        begun, share = time.monotonic(), stage.share / whole
        report = _Report(observer, stage.name, done, share)
        # Reading gigabytes of models for their digests is no silence either.
        decided_by = _decided_by(stage, material, cast, media, keys, partial(report, 0.0))
        key = keys[stage.name] = hashlib.sha256(decided_by.encode()).hexdigest()
        damage = _Damage(observer, stage.name)
        result = kept(cache, key, damage.of_result)
        reused, spared = result is not None, 0.0
        said = Notes(observer.log)
        if result is None:
            begun_stage(key)
            result, spared = _run(stage, material, cast, cache, key, report, said, damage.of_part)
        said.again(result.notes)
        material.results[stage.name] = result
        if stage.name == "matte":
            _look_at_matte(material, cast, observer)
        done += share
        observer.progress(stage.name, 1.0, done)
        seconds = time.monotonic() - begun + spared
        observer.stage_done(stage.name, seconds, reused)
        if isinstance(observer, Recorder):
            volume = (1 if stage.single else material.count) * material.height * material.width
            size = result.size_bytes
            observer.record(StageRecord(stage.name, decided_by, key, reused, seconds, size, volume, damage.met))
    return keys


def _run(
    stage: Stage,
    material: Material,
    cast: Cast,
    cache: StageCache,
    key: str,
    report: _Report,
    said: Notes,
    damaged: Callable[[], None],
) -> tuple[Result, float]:
    """Run a stage, but for the parts of it that are kept; gives its result and the seconds that those parts took."""
    parts = Parts(cache, key, damaged, said)
    with cache.writing(key) as aside:
        chunks = stage.run(material, cast.at_work(report, parts, said))
        write_result(aside, chunks, 1 if stage.single else material.count, report, said.kept)
    result = kept(cache, key)
    assert result is not None, "a cache keeps what was just written"
    parts.drop()
    return result, parts.spared


def _look_at_matte(material: Material, cast: Cast, observer: Observer) -> None:
    if paints(material.recipe, cast):
        check_foreground(material)
    for note in matte_doubts(material):
        observer.log(note.text, note.warning)


class _Damage:
    """Tells an observer what of a stage was kept and turned out to be damaged."""

    def __init__(self, observer: Observer, stage: str) -> None:
        self._observer, self._stage = observer, stage
        self.met = False
        """Whether the stage has to run because of it."""

    def of_result(self) -> None:
        self.met = True
        self._observer.log(f"the stored result of {self._stage} was damaged: computed again", warning=True)

    def of_part(self) -> None:
        self._observer.log(f"a stored part of {self._stage} was damaged: computed again", warning=True)


class _Report:
    """Tells an observer how far a stage is: never less far than before, whether a chunk or its plug-in says so.

    Args:
        done: of the whole job, before the stage.
        share: of the whole job, the stage's own.
    """

    def __init__(self, observer: Observer, stage: str, done: float, share: float) -> None:
        self._observer, self._stage, self._done, self._share = observer, stage, done, share
        self._told = 0.0

    def warn(self, text: str) -> None:
        self._observer.log(text, warning=True)

    def __call__(self, fraction: float) -> None:
        self._observer.checkpoint()
        self._told = max(self._told, min(fraction, 1.0))
        self._observer.progress(self._stage, self._told, self._done + self._share * self._told)


def _decided_by(
    stage: Stage,
    material: Material,
    cast: Cast,
    media: dict[str, str],
    keys: dict[str, str],
    checkpoint: Callable[[], None],
) -> str:
    """Everything that decides a stage's result, as canonical JSON; its digest is what the result is kept under."""
    spec, recipe = cast.spec(stage.role), material.recipe
    return canonical_json(
        {
            "stage": stage.name,
            "code": [stage.code_version, READING],
            "plugin": [spec.name, spec.version],
            "models": {name: cast.models.revision(name, checkpoint) for name in cast.used_models(stage.role)},
            "prompts": asdict(cast.prompts(stage.role)),
            "settings": recipe.roles[stage.role].settings.as_json(),
            "work": _work(material),
            "seed": recipe.seed,
            "media": {name: media[name] for name in stage.media if name in media},
            "inputs": {name: keys[name] for name in stage.inputs if name in keys},
        }
    )


def _work(material: Material) -> dict[str, Any]:
    """What is said of the pictures that stages work on; of a shot's cuts, where they are."""
    said = {name: value for name, value in material.recipe.work.as_json().items() if name != "cuts"}
    takes = {"takes": [take.start for take in material.takes]} if len(material.takes) > 1 else {}
    return {**said, **takes, "size": [material.width, material.height]}


def _extent(material: Material) -> Extent:
    info = material.info
    return Extent(material.count, material.height * material.width, len(material.deliver), info.height * info.width)


def _deliver(
    material: Material,
    cast: Cast,
    delivery: Delivery,
    folder: Path,
    observer: Observer,
    keys: Mapping[str, str],
    finished: Callable[[str], Collection[int]],
) -> None:
    """Render and write every delivered frame that is not finished yet."""
    begun = time.monotonic()
    info = material.info
    finish = Finish(material, cast, delivery, opencv)
    stem, form = material.shot.name or _stem(info), resolve_format(delivery.format, info)
    numbers = (None,) if form in MOVIES else material.deliver.numbers
    results = (result_name(stem, layer, form, number) for number in numbers for layer in delivery.layers)
    refuse_overwriting(folder, results, material.inputs())
    header, windows = _header(material, cast), material.plate_clip.windows
    sound = _sound(material, form, observer)
    wanted = _wanted(material, delivery)
    writer = open_writer(
        form,
        folder,
        stem,
        delivery.layers,
        info,
        material.rate,
        header,
        windows,
        sound,
        wanted,
        headers=material.plate_clip.header,
        compression=delivery.compression,
    )
    there = finished(_finish_key(delivery, form, stem, header, keys, wanted))
    skipped = frozenset[int]() if form in MOVIES else frozenset(there) & frozenset(material.deliver.numbers)
    try:
        with closing(finish.frames(skipped)) as frames:
            for done, (number, layers) in enumerate(frames, start=len(skipped) + 1):
                observer.files(writer.write(number, layers))
                fraction = done / len(material.deliver)
                observer.progress("finish", fraction, 1 - FINISH_SHARE * (1 - fraction))
                observer.checkpoint()
        observer.files(writer.close())
    except BaseException:
        writer.abort()
        raise
    seconds = time.monotonic() - begun
    observer.stage_done("finish", seconds, False)
    if isinstance(observer, Recorder):
        extent = _extent(material)
        observer.record(StageRecord("finish", "", "", False, seconds, 0, extent.delivered * extent.pixels))


def _sound(material: Material, form: str, observer: Observer) -> Sound | None:
    """The plate's sound as far as it goes with a movie; what does not is told."""
    clip = material.plate_clip
    if form not in MOVIE_FORMATS or not isinstance(clip, MovieClip):
        return None
    sound, said = clip.sound(material.deliver.numbers, material.rate)
    if sound is not None:
        sound, lost = sound.fitting(MOVIE_FORMATS[form].container)
        said += lost
    for text in said:
        observer.log(text, warning=True)
    return sound


def _wanted(material: Material, delivery: Delivery) -> Encoding | None:
    """The encoding that results are asked for in; None: the plate's own.

    Raises:
        UnknownNameError, ShotError: the shot's colour configuration does not know it, or it is of no colours.
    """
    if not delivery.colour_space:
        return None
    return output_encoding(material.info.encoding, delivery.colour_space, material.shot.colour_config)


def _finish_key(
    delivery: Delivery,
    form: str,
    stem: str,
    header: Mapping[str, str],
    keys: Mapping[str, str],
    wanted: Encoding | None,
) -> str:
    """A digest of all that decides the bytes of a shot's files, but for the shot itself."""
    decided_by = {
        "anyportal": version("anyportal"),
        "code": CODE_VERSION,
        "stages": dict(keys),
        "delivery": [list(delivery.layers), form, stem, delivery.compression, str(wanted)],
        "header": dict(header),
    }
    return hashlib.sha256(canonical_json(decided_by).encode()).hexdigest()


def resolve_format(wanted: str, info: ClipInfo) -> str:
    """The format of a delivery: a movie for a movie, a sequence for a sequence, EXR for float pixels."""
    if wanted != "auto":
        return wanted
    if info.kind == "movie":
        return "mp4"
    return "exr" if info.storage in ("half", "float") else "png"


def _stem(info: ClipInfo) -> str:
    """What to name results by: the plate's file name up to its frame number."""
    counter = {"movie": "$", "still": r"\.\d+$", "sequence": r"[._-]?%\d*d$"}[info.kind]
    return re.sub(counter, "", info.path.stem).replace("%", "_") or "shot"


def _header(material: Material, cast: Cast) -> dict[str, str]:
    """What a result says about how it was made; nothing in it depends on the run."""
    recipe = material.recipe
    plugins = {f"anyportal/{role}": f"{cast.spec(role).name} {cast.spec(role).version}" for role in recipe.roles}
    whole = recipe.canonical()
    loaded = sorted({name for stage in stages(recipe, cast) for name in cast.used_models(stage.role)})
    return {
        "anyportal/recipe": recipe.digest,
        **({"anyportal/recipe_json": whole} if len(whole.encode()) <= MOST_RECIPE else {}),
        "anyportal/preset": recipe.preset,
        "anyportal/seed": str(recipe.seed),
        **plugins,
        **{f"anyportal/model/{name}": cast.models.revision(name) for name in loaded if cast.models.size(name)},
    }
