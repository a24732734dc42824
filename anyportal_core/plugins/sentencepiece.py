"""Reads the vocabulary of a published ``spiece.model``.

The file is a protocol buffer. Its own library would bring generated code that need not fit the protobuf that is
installed, for the two fields that are read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anyportal_core.errors import CheckpointError, ModelNotFoundError

PIECES: Final = 1
NORMALISER: Final = 3
CHARACTERS: Final = 2
"""Numbers of fields in sentencepiece_model.proto: of the model twice, of its normaliser."""

FIXED: Final = {1: 8, 5: 4}
"""Bytes of a value by wire type."""


@dataclass(frozen=True)
class Vocabulary:
    """Pieces in the order of their ids, each with its score, and the table that normalises characters."""

    pieces: tuple[tuple[str, float], ...]
    characters: bytes


def read_vocabulary(file: Path) -> Vocabulary:
    """The vocabulary of a file.

    Raises:
        ModelNotFoundError: it is not there.
        CheckpointError: it is no such file.
    """
    if not file.is_file():
        raise ModelNotFoundError("the vocabulary cannot be found", where=str(file), hint="fetch the model again")
    try:
        fields = list(_fields(file.read_bytes()))
        pieces = tuple(_piece(value) for number, value in fields if number == PIECES)
        normaliser = b"".join(value for number, value in fields if number == NORMALISER)
        characters = b"".join(value for number, value in _fields(normaliser) if number == CHARACTERS)
    except (IndexError, ValueError, struct.error) as error:
        raise CheckpointError(
            f"this is no vocabulary: {error}", where=str(file), hint="fetch the model again"
        ) from error
    if not pieces:
        raise CheckpointError("the vocabulary is empty", where=str(file), hint="fetch the model again")
    return Vocabulary(pieces, characters)


def _piece(message: bytes) -> tuple[str, float]:
    found = dict(_fields(message))
    return found[1].decode("utf-8"), struct.unpack("<f", found.get(2, bytes(4)))[0]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every field but those that are integers."""
    at = 0
    while at < len(message):
        key, at = _integer(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            _, at = _integer(message, at)
            continue
        if kind != 2 and kind not in FIXED:
            raise ValueError(f"a field of kind {kind}")
        length, at = (FIXED[kind], at) if kind in FIXED else _integer(message, at)
        if at + length > len(message):
            raise ValueError("it ends too early")
        yield number, message[at : at + length]
        at += length


def _integer(message: bytes, at: int) -> tuple[int, int]:
    """An integer in groups of seven bits, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at
