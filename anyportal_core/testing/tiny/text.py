"""Tiny T5: a vocabulary of letters in the published format, and an encoder for it."""

from __future__ import annotations

import string
import struct
from collections.abc import Sequence
from typing import Any, Final

from transformers import T5Config, T5EncoderModel

from anyportal_core.testing.tiny.cogvideox import TEXT_CHANNELS
from anyportal_core.testing.tiny.random import randomised

PIECES: Final = ("<pad>", "</s>", "<unk>", "▁", *string.ascii_letters, *string.digits, *",.;:!?'-#")

T5: Final[dict[str, Any]] = {
    "vocab_size": len(PIECES) + 100,
    "d_model": TEXT_CHANNELS,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 2,
    "feed_forward_proj": "gated-gelu",
    "dropout_rate": 0.0,
}
"""Published configurations of T5 v1.1 name these too; 100 sentinels follow the pieces."""


def tiny_text_encoder(seed: int = 0) -> T5EncoderModel:
    encoder: T5EncoderModel = randomised(T5EncoderModel(T5Config(**T5)), seed)
    return encoder


def vocabulary_file(pieces: Sequence[str]) -> bytes:
    """The bytes of a ``spiece.model`` with these pieces, all of one score but the first three."""
    return b"".join(_field(1, _piece(piece, 0.0 if index < 3 else -2.0)) for index, piece in enumerate(pieces))


def _piece(text: str, score: float) -> bytes:
    return _field(1, text.encode()) + b"\x15" + struct.pack("<f", score)


def _field(number: int, content: bytes) -> bytes:
    if len(content) > 127:
        raise ValueError("a longer length takes more bytes than one")
    return bytes([number << 3 | 2, len(content)]) + content
