"""What programs depend on is documented: events by the schema, codes and exit codes by docs/errors.md."""

from __future__ import annotations

import inspect
import json
import re
import sys
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

import anyportal_core.errors
import anyportal_daemon.errors
from anyportal_client import errors
from anyportal_client.cli.failures import as_client_error
from anyportal_client.cli.options import read_rate, read_settings
from anyportal_client.cli.recipe_file import read_recipe
from anyportal_client.errors import ClientError, RecipeError, UsageError
from anyportal_client.events import Event, ResultsReady, StateChanged
from anyportal_client.otio import show
from anyportal_client.placing.placed import Placed
from anyportal_client.storekeeping import StoreShown
from anyportal_client.window.events import WindowOpened
from anyportal_daemon.models import Action, models

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "clients/anyportal_client/cli/events.schema.json").read_text("utf-8"))
OF_THE_DAEMON = {"serving", "model", "models"} | {f"tls_{what}" for what in ("certificate", "client", "bundle")}
OF_THE_DAEMON |= {"user", "user_added", "config", "drained", "backup", "health"}
EVENTS = {kind.event: kind for kind in Event.__subclasses__() if kind is not ResultsReady}


def test_the_schema_is_one_and_has_all_events() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert {show.Planned.event, StoreShown.event, Placed.event, WindowOpened.event} <= set(EVENTS)
    assert set(SCHEMA["$defs"]) == set(EVENTS) | OF_THE_DAEMON
    assert [each["$ref"] for each in SCHEMA["oneOf"]] == [f"#/$defs/{name}" for name in SCHEMA["$defs"]]


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_has_the_fields_of_the_schema(name: str) -> None:
    own = {field.name for field in fields(EVENTS[name])} - ({"error"} if EVENTS[name] is StateChanged else set())
    assert set(SCHEMA["$defs"][name]["required"]) == own | {"schema", "event"}
    assert set(SCHEMA["$defs"][name]["properties"]) == own | {"schema", "event", "shot"}


def test_every_event_is_in_the_documentation() -> None:
    text = (ROOT / "docs/events.md").read_text("utf-8")
    assert [name for name in EVENTS | dict.fromkeys(OF_THE_DAEMON) if f"`{name}`" not in text] == []


def test_models_speak_by_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ModuleType("tiny")
    tiny.write_all = lambda folder: ["iclight", "raft"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "anyportal_core.testing.tiny.everything", tiny)
    models(Action.list, tmp_path, as_json=True)
    models(Action.make_tiny, tmp_path / "new", as_json=True)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["event"] for event in events} == {"model", "models"}
    for event in events:
        jsonschema.Draft202012Validator(SCHEMA).validate(event)


def documented() -> dict[str, int]:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", (ROOT / "docs/errors.md").read_text("utf-8"), re.MULTILINE)
    return {code: int(number) for code, number in rows}


def codes_of(module: ModuleType) -> set[str]:
    kinds = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]
    return {kind.code for kind in kinds if hasattr(kind, "code")}


def test_every_code_is_documented_with_its_exit_code() -> None:
    table = documented()
    assert {code: kind.exit_code for code, kind in errors.KINDS.items()}.items() <= table.items()
    text = (ROOT / "docs/errors.md").read_text("utf-8")
    everywhere = codes_of(anyportal_core.errors) | codes_of(anyportal_daemon.errors) - {"ANYPORTAL"}
    assert [code for code in sorted(everywhere - {"ANYPORTAL"}) if f"`{code}`" not in text] == []


def test_what_the_daemon_or_a_job_may_say_has_a_class_of_its_own() -> None:
    dealt_with = {"ANYPORTAL", "REFUSED", "BLOB", "OFFSET"}
    of_serve = {"START", "CONFIG", "ADDRESS", "ADDRESS_IN_USE", "STATE_IN_USE"}
    said = codes_of(anyportal_core.errors) | codes_of(anyportal_daemon.errors)
    assert said - dealt_with - of_serve <= set(errors.KINDS)


def test_each_class_has_its_own_exit_code() -> None:
    kinds = ClientError.__subclasses__()
    assert len({kind.exit_code for kind in kinds}) == len(kinds)
    assert sorted(kind.exit_code for kind in kinds) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 130]


def test_errors_of_other_parts_keep_what_they_say() -> None:
    said = anyportal_core.errors.FrameRangeError("no", where="a.mov", hint="yes")
    error = as_client_error(said)
    assert (error.code, error.message, error.where, error.hint, error.exit_code) == (
        "FRAME_RANGE",
        "no",
        "a.mov",
        "yes",
        3,
    )
    bug = as_client_error(ZeroDivisionError("division by zero"))
    assert bug.exit_code == 1 and "--debug" in bug.hint and "ZeroDivisionError" in bug.message
    assert as_client_error(KeyboardInterrupt()).exit_code == 130


def test_a_command_that_cannot_be_loaded_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_client_error(ImportError("no such name")).exit_code == 1  # all is installed: a bug
    monkeypatch.setattr("anyportal_client.extras._installed", lambda name: name != "numpy")
    error = as_client_error(ModuleNotFoundError("No module named 'numpy'"))
    assert (error.exit_code, error.where) == (8, "missing: numpy")
    assert error.hint == "pip install 'anyportal[daemon]'"


def test_settings_are_json_where_they_parse() -> None:
    pairs = [
        "a=0.5",
        "b=true",
        'c={"1001": 0.2}',
        "d=#00ff00",
        "matte.plugin=draft.key",
        'e="7"',
        "f=a=b",
        "g=",
        "h=NaN",
        "i=1e999",
        "j=.5",
        "k=-.25",
        "l=.exr",
        "m=v.5",
    ]
    assert read_settings(pairs) == {
        "a": 0.5, "b": True, "c": {"1001": 0.2}, "d": "#00ff00", "matte.plugin": "draft.key", "e": "7", "f": "a=b",
        "g": "", "h": "NaN", "i": "1e999", "j": 0.5, "k": -0.25, "l": ".exr", "m": "v.5",
    }  # fmt: skip


@pytest.mark.parametrize("pair", ["novalue", "=1", " =1"])
def test_settings_that_are_none(pair: str) -> None:
    with pytest.raises(UsageError):
        read_settings([pair])


@pytest.mark.parametrize("pair", ['a={"1001": 1, "1001": 0}', 'a={"b": {"7": 1, "7": 1}}'])
def test_a_table_with_two_values_of_a_frame_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="two values"):
        read_settings([pair])


RATES = {"24": (24, 1), "23.976": (24000, 1001), "29.97": (30000, 1001), "24000/1001": (24000, 1001), "12.5": (25, 2)}
RATES |= {"24.000000000000004": (24, 1), "23.976023976023978": (24000, 1001), "1000": (1000, 1)}


@pytest.mark.parametrize("text", RATES)
def test_rates(text: str) -> None:
    assert read_rate(text) == Fraction(*RATES[text])


@pytest.mark.parametrize(
    "text", ["0", "-1", "fast", "1/0", "nan", "inf", "1e30", "1e-30", "12345678901/7", "1001", "1e99999999"]
)
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        read_rate(text)


def test_a_recipe_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "look.toml"
    path.write_text(
        'schema = 1\npreset = "draft"\nseed = 7\n[backdrop]\nkind = "colour"\nvalue = "#112233"\n'
        '[matte]\nplugin = "draft.key"\n[finish]\nrelight_strength = {1001 = 0.5}\n'
    )
    assert read_recipe(path) == {
        "preset": "draft",
        "seed": 7,
        "backdrop": "#112233",
        "settings": {"matte": {"plugin": "draft.key"}, "finish": {"relight_strength": {"1001": 0.5}}},
    }


@pytest.mark.parametrize(
    ("text", "backdrop"),
    [
        ('backdrop = "#aabbcc"', "#aabbcc"),
        ('backdrop = "a quiet beach at dusk"', "a quiet beach at dusk"),
        ('backdrop = "plates/beach.jpg"', "{folder}/plates/beach.jpg"),
        ('backdrop = "there"', "{folder}/there"),
        ('backdrop = "/plates/beach.jpg"', "/plates/beach.jpg"),
        ('[backdrop]\nkind = "prompt"\nvalue = "a beach"', "a beach"),
        ('[backdrop]\nkind = "still"\nvalue = "5555"', None),
    ],
)
def test_the_backdrop_of_a_recipe_file(tmp_path: Path, text: str, backdrop: str | None) -> None:
    path = tmp_path / "look.toml"
    path.write_text(text)
    (tmp_path / "there").touch()
    expected = None if backdrop is None else backdrop.replace("{folder}", str(tmp_path))
    assert read_recipe(path).get("backdrop") == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("preset = 5", "preset"),
        ('seed = "x"', "seed"),
        ("seed = true", "seed"),
        ("subject = 3", "subject"),
        ("backdrop = 3", "backdrop"),
        ('[backdrop]\nkind = "colour"', "backdrop"),
        ('[backdrop]\nkind = "song"\nvalue = "x"', "backdrop"),
        ("[[matte]]\nplugin = 1", "matte"),
        ("[matte]\nkeys = [1, 2]", "matte.keys"),
        ("[finish]\nday = 2020-01-01", "finish.day"),
        ("[finish]\nrelight_strength = inf", "finish.relight_strength"),
        ("relight_strength = nan", "relight_strength"),
        (f"[work]\nlong_side = 1{'0' * 400}", "work.long_side"),
    ],
)
def test_a_value_of_the_wrong_kind_in_a_recipe_file_is_named(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "look.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=f"'{key}'") as caught:
        read_recipe(path)
    assert caught.value.where == str(path) and caught.value.hint


@pytest.mark.parametrize("text", ["not toml", "schema = 2"])
def test_a_recipe_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "look.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert caught.value.where == str(path)
    with pytest.raises(RecipeError):
        read_recipe(tmp_path / "missing.toml")
