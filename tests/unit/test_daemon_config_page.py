"""The reference page of the configuration, what is in force written out, and the command that shows both."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from anyportal_client.cli.app import run
from anyportal_daemon.config import Config, load
from anyportal_daemon.config_keys import key_of, section_of
from anyportal_daemon.config_page import changed, page, written
from anyportal_daemon.errors import ConfigError
from anyportal_daemon.jobs.scheduler import Rules

PAGE = Path(__file__).parents[2] / "docs" / "config.md"


def test_the_page_is_the_one_in_the_documentation() -> None:
    assert page() == PAGE.read_text("utf-8"), "write it anew: anyportal config keys > docs/config.md"


def keys(section: type[Any]) -> list[Any]:
    found = []
    for each in fields(section):
        below = section_of(each)
        found += keys(below.type) if below else [(each, key_of(each))]
    return found


def test_every_field_is_a_documented_key_whose_example_is_good(tmp_path: Path) -> None:
    for field, key in keys(Config):
        assert key is not None, f"{field.name} is no key"
        assert key.help.endswith("."), f"{field.name}: {key.help}"
        example = tomllib.loads(f"x = {key.kind.example}")["x"]
        if field.name != "mappings":  # these must be folders that are there
            key.kind.read(example)


def test_what_is_in_force_is_a_file_that_gives_the_same(tmp_path: Path) -> None:
    file = tmp_path / "daemon.toml"
    folders = f'models = "{tmp_path}"\nmappings = {{ footage = "{tmp_path}" }}\n'
    file.write_text(f'budget = "3 GiB"\n{folders}[jobs]\nrunning = 2\n', "utf-8")
    config = load(file, state=tmp_path / "state")
    again = tmp_path / "again.toml"
    again.write_text(written(config), "utf-8")
    assert load(again) == config
    assert config.budget == 3 * 2**30


def test_what_a_new_file_changes_and_whether_a_running_daemon_takes_it(tmp_path: Path) -> None:
    config = load(None, state=tmp_path)
    assert list(changed(config, config)) == []
    other = replace(config, models=tmp_path, jobs=Rules(queued=3))
    assert list(changed(config, other)) == [("models", False), ("jobs.queued", True)]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "daemon.toml"
    file.write_text("[jobs]\nqueud = 1\n", "utf-8")
    assert run(["config", "check", str(file)]) == 2
    said = capsys.readouterr().err
    assert f"{file}: jobs.queud" in said and "did you mean queued" in said
    file.write_text("[jobs]\nqueued = 1\n", "utf-8")
    assert run(["config", "check", str(file)]) == 0
    assert "is good" in capsys.readouterr().out
    assert run(["config", "show", str(file)]) == 0
    assert tomllib.loads(capsys.readouterr().out)["jobs"]["queued"] == 1
    assert run(["config", "keys"]) == 0
    assert capsys.readouterr().out == page()


def test_a_key_of_a_wrong_section_is_told_with_its_neighbours(tmp_path: Path) -> None:
    file = tmp_path / "daemon.toml"
    file.write_text("[worker]\nqueued = 1\n", "utf-8")
    with pytest.raises(ConfigError, match="memory_gigabytes"):
        load(file)
