"""IC-Light's prompt chunks and sampler."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from transformers import CLIPTokenizer  # noqa: E402

from anyportal_core.errors import RecipeError  # noqa: E402
from anyportal_core.plugins.iclight.prompt import (  # noqa: E402
    empty_text_encoder,
    encode_pair,
    published_keys,
    token_chunks,
)
from anyportal_core.plugins.iclight.sampler import Steps  # noqa: E402

ENCODER = {
    "vocab_size": 524,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 12,
    "bos_token_id": 522,
    "eos_token_id": 523,
}


@pytest.mark.parametrize(
    ("steps", "strength", "left", "first"), [(20, 1.0, 20, 999), (40, 0.5, 20, None), (31, 0.65, 20, None)]
)
def test_the_published_runs_make_twenty_evaluations(steps: int, strength: float, left: int, first: int | None) -> None:
    run = Steps(steps, strength)
    assert len(run) == left
    assert first is None or run.timesteps[0] == first


def test_a_run_can_be_repeated() -> None:
    steps, noise = Steps(6, 0.5), torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    runs = [
        list(steps.run(steps.begin(noise, noise * 2), lambda latents, t: latents * 0.1, lambda: noise))
        for _ in range(2)
    ]
    assert len(runs[0]) == len(steps) == 3
    assert torch.equal(runs[0][-1], runs[1][-1])


@pytest.fixture
def tokenizer(shared: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(shared / "golden" / "tiny_clip_tokenizer")


def test_no_token_of_a_long_prompt_is_lost(tokenizer: CLIPTokenizer) -> None:
    text = "man on the beach at " * 9
    chunks = token_chunks(tokenizer, text)
    assert chunks.shape[1] == tokenizer.model_max_length
    assert (chunks[:, 0] == tokenizer.bos_token_id).all() and (chunks[:, -1] == tokenizer.eos_token_id).all()
    inside = [int(token) for token in chunks.flatten() if token not in (tokenizer.bos_token_id, tokenizer.eos_token_id)]
    assert inside == tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_prompt_is_refused(tokenizer: CLIPTokenizer, text: str) -> None:
    with pytest.raises(RecipeError, match="empty"):
        token_chunks(tokenizer, text)


def test_the_shorter_side_repeats(tokenizer: CLIPTokenizer) -> None:
    encoder, draw = empty_text_encoder(ENCODER), torch.Generator().manual_seed(0)
    weights = {key: torch.randn(value.shape, generator=draw) * 0.3 for key, value in encoder.state_dict().items()}
    encoder.load_state_dict(weights, assign=True)
    encoder.eval()
    with torch.no_grad():
        states = encode_pair(tokenizer, encoder, "man on the beach at man on the beach at man on", "bad")
        alone = encode_pair(tokenizer, encoder, "bad", "bad")[0]
    length = tokenizer.model_max_length
    assert states.shape[1] > length
    assert torch.allclose(states[0, length : 2 * length], alone, atol=1e-6)
    assert torch.allclose(states[0, :length], alone, atol=1e-6)


def test_old_checkpoints_with_positions_are_read() -> None:
    weights = {"text_model.embeddings.position_ids": torch.arange(12)[None], "text_model.x": torch.ones(1)}
    assert list(published_keys(weights)) == ["x"]
