"""A colour configuration that somebody sends refers to no file of the machine that uses it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media.ocio_files import refuse_foreign_files

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
    refuse_foreign_files(config(tmp_path, archived=False))
    group = f"!<GroupTransform> {{children: [{file('luts/film.spi1d')}, {NONE}]}}"
    refuse_foreign_files(config(tmp_path, archived=True, search="luts", space=group, look=file("show.cube")))


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
        refuse_foreign_files(config(tmp_path, archived=True, **asked[where]))
    assert error.value.hint


def test_spelling_hides_nothing(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadableError):
        refuse_foreign_files(config(tmp_path, archived=True, space=file("\\x2fetc\\x2fpasswd")))


def test_plain_text_names_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadableError):
        refuse_foreign_files(config(tmp_path, archived=False, space=file("film.spi1d")))
