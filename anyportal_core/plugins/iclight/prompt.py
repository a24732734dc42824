"""Prompts for IC-Light: text of any length, encoded by CLIP in chunks, as its authors encode it.

CLIP reads 77 tokens. A longer text is cut in chunks of 75 with a start and an end of their own, and the text states
of all chunks stand one behind the other. Nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from anyportal_core.errors import CheckpointError, RecipeError
from anyportal_core.plugins.guards import finite
from anyportal_core.plugins.weights import (
    CONFIG,
    Checkpoint,
    configured,
    fill,
    not_found,
    read_checkpoint,
    read_config,
)

PREFIX: Final = "text_model."
POSITIONS: Final = "embeddings.position_ids"
"""A constant that old checkpoints carry and nobody reads."""

TOKENS: Final = ("vocab.json", "merges.txt", "tokenizer_config.json")
"""What a tokenizer is read from. Without the last it would know no length: a text would be one endless chunk."""


def load_text_encoder(folder: Path, dtype: torch.dtype | None = None) -> CLIPTextModel:
    """The text encoder of a published ``text_encoder`` folder."""
    checkpoint = read_checkpoint(folder)
    published = Checkpoint(checkpoint.file, published_keys(checkpoint.tensors))
    return fill(empty_text_encoder(read_config(folder), folder / CONFIG), published, dtype)


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer of a published ``tokenizer`` folder.

    Raises:
        ModelNotFoundError: one of its files is not there.
        CheckpointError: they cannot be read, or have no tokens for the start and the end of a text.
    """
    for name in TOKENS:
        if not (folder / name).is_file():
            raise not_found("the vocabulary", folder / name)
    try:
        tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)  # nosec B615
    except Exception as error:  # for a broken file the library raises just this
        raise _no_vocabulary(folder, " ".join(str(error).split())) from error
    # The library adds them behind the others, where the encoder has no row for them.
    added = {tokenizer.bos_token_id, tokenizer.eos_token_id} - set(range(tokenizer.vocab_size))
    if added:
        raise _no_vocabulary(folder, "it has no start or no end of a text")
    return tokenizer


def empty_text_encoder(config: Mapping[str, Any], file: Path = Path(CONFIG)) -> CLIPTextModel:
    """A text encoder without weights; ``file`` is where the configuration is from."""
    with configured(file), init_empty_weights(include_buffers=False):
        return CLIPTextModel(CLIPTextConfig.from_dict(dict(config)))


def _no_vocabulary(folder: Path, why: str) -> CheckpointError:
    return CheckpointError(f"this is no vocabulary: {why}", where=str(folder), hint="fetch the model again")


def published_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights by the keys that the network has today: without ``text_model.``."""
    short = {key.removeprefix(PREFIX): value for key, value in tensors.items()}
    short.pop(POSITIONS, None)
    return short


def token_chunks(tokenizer: CLIPTokenizer, text: str) -> Tensor:
    """The text as chunks of token ids ``(n, model_max_length)`` int64; the last is filled up with end tokens.

    Raises:
        RecipeError: the text is empty.
    """
    length, start, end = tokenizer.model_max_length, tokenizer.bos_token_id, tokenizer.eos_token_id
    tokens: list[int] = tokenizer(text, truncation=False, add_special_tokens=False, verbose=False)["input_ids"]
    if not tokens:
        raise RecipeError("the prompt is empty", where="prompt", hint="say in a few words what is to be seen")
    inside = [tokens[i : i + length - 2] for i in range(0, len(tokens), length - 2)]
    return torch.tensor([[start, *chunk, *[end] * (length - 1 - len(chunk))] for chunk in inside])


def encode_pair(tokenizer: CLIPTokenizer, encoder: CLIPTextModel, text: str, negative: str) -> Tensor:
    """Text states ``(2, L, d)``: of the negative text, then of the text. The shorter one repeats its chunks."""
    states = [_encode(encoder, token_chunks(tokenizer, side)) for side in (negative, text)]
    count = max(len(side) for side in states)
    return torch.stack([side[torch.arange(count) % len(side)].flatten(0, 1) for side in states])


def _encode(encoder: CLIPTextModel, ids: Tensor) -> Tensor:
    states: Tensor = encoder(ids.to(encoder.device)).last_hidden_state
    return finite(states, "the text encoder")
