"""A colour configuration that somebody sends refers to no file of the machine that uses it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import PyOpenColorIO as ocio
import pytest

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media import ocio_bounds
from anyportal_core.media.ocio_files import check_sent_config

PLAIN = """ocio_profile_version: 2
search_path: {search}
roles:
  default: raw
  scene_linear: raw
displays:
  d:
    - !<View> {{name: v, colorspace: raw}}
looks:
  - !<Look>
    name: grade
    process_space: raw
    transform: {look}
colorspaces:
  - !<ColorSpace>
    name: raw
  - !<ColorSpace>
    name: log
    from_scene_reference: {space}
"""
NONE = "!<MatrixTransform> {}"


def file(name: str) -> str:
    return f'!<FileTransform> {{src: "{name}"}}'


def config(folder: Path, archived: bool, search: str = '""', look: str = NONE, space: str = NONE) -> Path:
    text = PLAIN.format(search=search, look=look, space=space)
    path = folder / ("show.ocioz" if archived else "show.ocio")
    if archived:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.ocio", text)
    else:
        path.write_text(text)
    return path


def test_what_came_along_may_be_named(tmp_path: Path) -> None:
    check_sent_config(config(tmp_path, archived=False))
    group = f"!<GroupTransform> {{children: [{file('luts/film.spi1d')}, {NONE}]}}"
    check_sent_config(config(tmp_path, archived=True, search="luts", space=group, look=file("show.cube")))


FOREIGN = [
    "/etc/passwd",
    "../../secret.cube",
    "luts/../../secret.cube",
    "$HOME/x.cube",
    "luts/${SHOT}.cube",
    "C:/x",
    "\\\\nas\\x",
]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("where", ["space", "look", "group", "search"])
def test_files_outside_an_archive_are_refused(tmp_path: Path, name: str, where: str) -> None:
    quoted = name.replace("\\", "\\\\")
    asked = {
        "space": {"space": file(quoted)},
        "look": {"look": file(quoted)},
        "group": {"space": f"!<GroupTransform> {{children: [{NONE}, {file(quoted)}]}}"},
        "search": {"search": f'"{quoted}"'},
    }
    with pytest.raises(MediaUnreadableError) as error:
        check_sent_config(config(tmp_path, archived=True, **asked[where]))
    assert error.value.hint


def test_spelling_hides_nothing(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadableError):
        check_sent_config(config(tmp_path, archived=True, space=file("\\x2fetc\\x2fpasswd")))


def test_plain_text_names_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadableError):
        check_sent_config(config(tmp_path, archived=False, space=file("film.spi1d")))


def spaces(*transforms: str) -> str:
    """The text of a configuration with further spaces ``c0``, ``c1``..."""
    named = (f"  - !<ColorSpace>\n    name: c{i}\n    to_scene_reference: {t}\n" for i, t in enumerate(transforms))
    return PLAIN.format(search='""', look=NONE, space=NONE) + "".join(named)


def saved(folder: Path, text: str, archived: bool = False, **others: str) -> Path:
    path = folder / ("show.ocioz" if archived else "show.ocio")
    if archived:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {"config.ocio": text, **others}.items():
                archive.writestr(name, content)
    else:
        path.write_text(text)
    return path


def group(*parts: str) -> str:
    return f"!<GroupTransform> {{children: [{', '.join(parts)}]}}"


BOMBS = {
    "aliases": spaces("&g0 " + group(NONE, NONE), *(f"&g{i + 1} {group(*[f'*g{i}'] * 10)}" for i in range(9))),
    "spaces": spaces(NONE, *(group(*[f"!<ColorSpaceTransform> {{src: c{i}, dst: raw}}"] * 10) for i in range(9))),
    "variables": "environment: {A: c0}\n" + spaces(NONE, "!<ColorSpaceTransform> {src: $A, dst: raw}"),
    "looks": spaces(*["!<LookTransform> {src: raw, dst: raw, looks: +grade}"] * 2).replace(
        f"transform: {NONE}", "transform: !<ColorSpaceTransform> {src: c1, dst: raw}"
    ),
    "a chain": spaces(NONE, *(f"!<ColorSpaceTransform> {{src: c{i}, dst: raw}}" for i in range(200))),
    "a circle": spaces("!<ColorSpaceTransform> {src: c0, dst: raw}"),
    "length": spaces(NONE) + "# " + "x" * (5 << 20),
    "another alphabet": spaces(NONE) + "\0",
}


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_text_that_means_too_much_is_refused(tmp_path: Path, bomb: str, archived: bool) -> None:
    with pytest.raises(MediaUnreadableError, match="the colour configuration") as refused:
        check_sent_config(saved(tmp_path, BOMBS[bomb], archived))
    assert refused.value.hint


def test_what_only_looks_like_an_alias_is_none(tmp_path: Path) -> None:
    text = "description: |\n  R&D, by A & B\n  * one\n  *two\n  Q&two\n" + spaces(group(NONE, NONE))
    check_sent_config(saved(tmp_path, text))


def test_many_spaces_may_refer_to_one(tmp_path: Path) -> None:
    one = "!<ColorSpaceTransform> {src: c0, dst: raw}"
    check_sent_config(saved(tmp_path, spaces(group(*[NONE] * 50), *[group(one, one)] * 100), archived=True))


def test_an_archive_of_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocio_bounds, "MOST_UNPACKED", 1 << 20)
    with pytest.raises(MediaUnreadableError, match="larger"):
        check_sent_config(saved(tmp_path, spaces(NONE), archived=True, table=" " * (2 << 20)))
    with pytest.raises(MediaUnreadableError, match="larger"):
        check_sent_config(saved(tmp_path, spaces(NONE), True, **{f"t{i}": "" for i in range(10_001)}))


def test_two_configurations_in_one_archive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadableError, match="one name"):
        check_sent_config(saved(tmp_path, spaces(NONE), True, **{"Config.OCIO": BOMBS["aliases"]}))


def test_a_table_that_calls_other_files_is_refused(tmp_path: Path) -> None:
    table = '<?xml version="1.0"?><ProcessList id="a" version="1.4"><Reference path="/etc/passwd"/></ProcessList>'
    with pytest.raises(MediaUnreadableError, match="other files"):
        check_sent_config(saved(tmp_path, spaces(file("a.ctf")), archived=True, **{"a.ctf": table}))


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "show.ocioz"
    path.write_bytes(b"PK\3\4 and then nothing")
    with pytest.raises(MediaUnreadableError, match="cannot be read"):
        check_sent_config(path)


def test_the_configurations_that_come_with_the_library_pass(tmp_path: Path) -> None:
    for name in ("studio-config-v4.0.0_aces-v2.0_ocio-v2.5", "cg-config-v1.0.0_aces-v1.3_ocio-v2.1"):
        text = ocio.Config.CreateFromBuiltinConfig(name).serialize()
        check_sent_config(saved(tmp_path, text))
