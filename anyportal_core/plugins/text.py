"""Prompts for the video models: T5, as CogVideoX was trained with it.

What IC-Light reads is another encoder, `iclight.prompt`, which takes text of any length; T5 is given a fixed number of
tokens, and what goes beyond is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from torch import Tensor
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from anyportal_core.plugins.guards import finite
from anyportal_core.plugins.sentencepiece import read_vocabulary
from anyportal_core.plugins.weights import CONFIG, Checkpoint, configured, fill, read_checkpoint, read_config

TIED: Final = ("shared.weight", "encoder.embed_tokens.weight")
"""One table under two keys; files hold either or both."""


class VideoPrompts:
    """Encodes prompts for a video model.

    Args:
        length: tokens of every text, filled up with padding that the model sees: no mask, as it was trained.
    """

    def __init__(self, tokenizer: T5Tokenizer, encoder: T5EncoderModel, length: int) -> None:
        self._tokenizer, self._encoder, self._length = tokenizer, encoder, length

    @torch.no_grad()
    def encode(self, text: str, note: Callable[[str], None], negative: str = "") -> Tensor:
        """Text states ``(2, length, channels)``: of the negative text, then of the text; either may be empty.

        Args:
            note: hears what did not fit.

        Raises:
            NonFiniteLatentsError: the encoder's weights are broken.
        """
        ids = torch.tensor([self._tokens(side, note) for side in (negative, text)], device=self._encoder.device)
        states: Tensor = self._encoder(ids).last_hidden_state
        return finite(states, "the text encoder")

    def _tokens(self, text: str, note: Callable[[str], None]) -> list[int]:
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)[
            "input_ids"
        ]
        room = self._length - 1
        if len(tokens) > room:
            cut = self._tokenizer.decode(tokens[room:])
            note(f"the prompt is too long by {len(tokens) - room} tokens; not read: '{cut}'")
        kept = [*tokens[:room], self._tokenizer.eos_token_id]
        return kept + [self._tokenizer.pad_token_id] * (self._length - len(kept))


def load_video_prompts(model: Path, length: int, device: torch.device, dtype: torch.dtype) -> VideoPrompts:
    """The encoder of a published video model, from its folders ``tokenizer`` and ``text_encoder``.

    Args:
        length: tokens that its transformer takes, ``max_text_seq_length``.

    Raises:
        ModelNotFoundError: something is not there.
        CheckpointError: something is not what it should be.
    """
    folder = model / "text_encoder"
    checkpoint = read_checkpoint(folder)
    encoder = empty_text_encoder(read_config(folder), folder / CONFIG)
    fill(encoder, Checkpoint(checkpoint.file, published_keys(checkpoint.tensors)), dtype)
    return VideoPrompts(load_tokenizer(model / "tokenizer"), encoder.to(device), length)


def load_tokenizer(folder: Path) -> T5Tokenizer:
    """The tokenizer of a published ``tokenizer`` folder, from its ``spiece.model``."""
    vocabulary = read_vocabulary(folder / "spiece.model")
    return T5Tokenizer(list(vocabulary.pieces), _spm_precompiled_charsmap=vocabulary.characters or None)


def empty_text_encoder(config: Mapping[str, Any], file: Path = Path(CONFIG)) -> T5EncoderModel:
    """A T5 encoder without weights; ``file`` is where the configuration is from."""
    with configured(file), init_empty_weights(include_buffers=False):
        return T5EncoderModel(T5Config.from_dict(dict(config)))


def published_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights with the table of words under both of its keys."""
    table = next((tensors[key] for key in TIED if key in tensors), None)
    return {**tensors, **({} if table is None else dict.fromkeys(TIED, table))}
