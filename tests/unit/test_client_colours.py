"""The colour configuration of a request: which one is meant, and what is sent of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from anyportal.v1 import media_pb2
from anyportal_client.colours import ColourConfig, find_colours
from anyportal_client.errors import MediaError
from anyportal_client.request import ShotRequest

TEXT = 'ocio_profile_version: 2\nsearch_path: "luts:luts/more"\nroles:\n  - x\n'


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OCIO", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def asked(config: str | Path = "", colour_space: str = "") -> ColourConfig:
    return find_colours(ShotRequest("p.mov", "#808080", colour_config=config, colour_space=colour_space))


def blob(path: Path) -> media_pb2.Blob:
    return media_pb2.Blob(sha256=path.name, size_bytes=1)


def studio(folder: Path, text: str = TEXT) -> Path:
    (folder / "luts/more").mkdir(parents=True)
    (folder / "config.ocio").write_text(text)
    (folder / "luts/film.spi1d").write_bytes(b"one")
    (folder / "luts/more/show.cube").write_bytes(b"two")
    (folder / "readme.txt").write_bytes(b"no table")
    return folder / "config.ocio"


def test_nothing_is_sent_where_nothing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert asked() == ColourConfig()
    assert asked().message(blob) is None
    monkeypatch.setenv("OCIO", str(studio(tmp_path / "show")))
    assert asked() == ColourConfig()


def test_the_environment_explains_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OCIO", str(studio(tmp_path / "show")))
    assert asked(colour_space="plates/show_log").file is not None
    monkeypatch.setenv("OCIO", "ocio://cg-config-latest")
    assert asked(colour_space="ACEScg") == ColourConfig("cg-config-latest")
    assert asked("studio-config-latest", "ACEScg") == ColourConfig("studio-config-latest")


@pytest.mark.parametrize(
    "search",
    ['"luts:luts/more"', "luts", "[luts, luts/more]", "\n  - luts\n  - luts/more"],
    ids=["joined", "one", "list", "lines"],
)
def test_tables_travel_with_their_configuration(tmp_path: Path, search: str) -> None:
    config = studio(tmp_path / "show", f"ocio_profile_version: 2\nsearch_path: {search}\nstrictparsing: true\n")
    packed = asked(config).file
    assert packed is not None
    with zipfile.ZipFile(packed) as archive:
        assert sorted(archive.namelist()) == ["config.ocio", "luts/film.spi1d", "luts/more/show.cube"]
        assert archive.read("luts/more/show.cube") == b"two"
    message = ColourConfig(file=packed).message(blob)
    assert message is not None and message.file.filename.endswith(".ocioz")
    first = packed.read_bytes()
    packed.unlink()
    assert asked(config).file == packed
    assert packed.read_bytes() == first


def test_a_table_that_changed_is_packed_again(tmp_path: Path) -> None:
    config = studio(tmp_path / "show")
    first = asked(config).file
    (config.parent / "luts/film.spi1d").write_bytes(b"another")
    assert asked(config).file != first


def test_tables_above_the_configuration_stay_at_home(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key.cube").write_bytes(b"private")
    config = studio(tmp_path / "show", "ocio_profile_version: 2\nsearch_path: ../secret:luts/more\n")
    packed = asked(config).file
    assert packed is not None
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == ["config.ocio", "luts/more/show.cube"]


def test_a_configuration_without_tables_is_sent_as_it_is(tmp_path: Path) -> None:
    config = tmp_path / "plain.ocio"
    config.write_text("ocio_profile_version: 2\n")
    assert asked(config).file == config


@pytest.mark.parametrize("name", ["gone.ocio", "gone.ocioz", "shows/config.yaml"])
def test_a_configuration_that_is_no_good_is_told_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError) as error:
        asked(tmp_path / name)
    assert error.value.code == "COLOUR_CONFIG"
    assert Path(name).name in error.value.where
    assert error.value.hint
