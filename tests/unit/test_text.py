"""Prompts of the video models, with a tiny random T5 and a vocabulary written by the published format."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import save_file  # noqa: E402

from anyportal_core.errors import CheckpointError, ModelNotFoundError  # noqa: E402
from anyportal_core.plugins.sentencepiece import read_vocabulary  # noqa: E402
from anyportal_core.plugins.text import VideoPrompts, load_tokenizer, load_video_prompts  # noqa: E402
from anyportal_core.testing.tiny.text import PIECES, T5, tiny_text_encoder, vocabulary_file  # noqa: E402

LENGTH = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "spiece.model").write_bytes(vocabulary_file(PIECES))
    (folder / "text_encoder").mkdir()
    (folder / "text_encoder" / "config.json").write_text(json.dumps(T5))
    weights = tiny_text_encoder().state_dict()
    weights.pop("encoder.embed_tokens.weight")  # as transformers saves it
    save_file(weights, folder / "text_encoder" / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def prompts(model: Path) -> VideoPrompts:
    return load_video_prompts(model, LENGTH, torch.device("cpu"), torch.float32)


def refuse(text: str) -> None:
    raise AssertionError(text)


def test_text_states_have_a_fixed_length(prompts: VideoPrompts) -> None:
    states = prompts.encode("a man", refuse)
    assert states.shape == (2, LENGTH, T5["d_model"])
    assert not torch.equal(states[0], states[1])
    assert torch.equal(prompts.encode("a man", refuse), states)
    assert torch.equal(prompts.encode("a beach", refuse)[0], states[0])


def test_what_is_cut_is_said(prompts: VideoPrompts) -> None:
    notes: list[str] = []
    states = prompts.encode("a man at a beach", notes.append)
    assert states.shape[1] == LENGTH
    assert notes == ["the prompt is too long by 6 tokens; not read: 'beach'"]


def test_no_text_is_what_nothing_is_compared_with(prompts: VideoPrompts) -> None:
    states = prompts.encode("", refuse)
    assert torch.equal(states[0], states[1])


def test_padding_is_no_word_but_is_seen(prompts: VideoPrompts, model: Path) -> None:
    """The published pipeline gives no mask: more padding changes every token's state."""
    longer = load_video_prompts(model, LENGTH + 4, torch.device("cpu"), torch.float32)
    assert not torch.equal(longer.encode("a man", refuse)[1, :3], prompts.encode("a man", refuse)[1, :3])


def test_tokens_are_sentencepieces(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    file = tmp_path / "spiece.model"
    with file.open("wb") as opened:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(Path(__file__).read_text("utf-8").splitlines()),
            model_writer=opened,
            vocab_size=200,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            normalization_rule_name="nmt_nfkc",
            minloglevel=2,
        )
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(file))
    vocabulary = read_vocabulary(file)
    assert [piece for piece, _ in vocabulary.pieces] == [theirs.id_to_piece(i) for i in range(len(theirs))]
    assert [score for _, score in vocabulary.pieces] == [theirs.get_score(i) for i in range(len(theirs))]
    ours = load_tokenizer(tmp_path)
    for text in ("the published format", "  a  ﬁlm　Ａ ", "prompts, encoded: (1, 2)", "neue Wörter"):
        assert ours(text)["input_ids"] == [*theirs.encode(text), 1]


def test_what_is_no_vocabulary_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "spiece.model"
    with pytest.raises(ModelNotFoundError):
        read_vocabulary(file)
    for content in (b"", b"no vocabulary at all", b"\x0a\xff\xff\xff\x7f", b"\x0a", struct.pack("<d", 1.5)):
        file.write_bytes(content)
        with pytest.raises(CheckpointError):
            read_vocabulary(file)
