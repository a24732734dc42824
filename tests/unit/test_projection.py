"""The refinement projection, also against recorded values of the published code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anyportal_core.method.projection import LIMIT, IdentityCodec, project

ATOL = 1e-4  # of the reference data for this case


class LossyCodec:
    """Halves the resolution, so that detail is lost on the way, and is unsure by a tenth."""

    def encode(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = frames.reshape(-1, 2, frames.shape[-1]).mean(1).repeat(2, 0)
        return mean, np.full_like(mean, 0.1)

    def decode(self, latent: np.ndarray) -> np.ndarray:
        return latent


def latents(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(8, 5)).astype(np.float32)


def test_what_the_codec_loses_is_put_back_after_the_edit() -> None:
    latent = latents()
    out = project(latent, lambda frames: frames + 3, LossyCodec(), np.array(True))
    np.testing.assert_allclose(out, latent + 3, atol=1e-5)


def test_the_residual_is_measured_in_deviations() -> None:
    class Doubling(LossyCodec):
        def encode(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros_like(frames), np.full_like(frames, 1.0 if frames.mean() < 10 else 2.0)

    latent = latents()
    out = project(latent, lambda frames: frames + 100, Doubling(), np.array(True))
    np.testing.assert_allclose(out, 2 * latent, rtol=1e-6)


def test_without_an_edit_the_latent_comes_back_bit_for_bit() -> None:
    latent = latents() * np.float32(1e4)  # far outside: the arithmetic alone would clamp
    out = project(latent, lambda frames: frames * 0, LossyCodec(), np.array(False))
    assert out.tobytes() == latent.tobytes()
    arithmetic = project(latent, lambda frames: frames, LossyCodec(), np.array(True))
    assert np.abs(arithmetic - latent).max() > 1


def test_only_the_edited_places_change() -> None:
    latent = latents()
    edited = np.zeros((8, 1), bool)
    edited[2:4] = True
    out = project(latent, lambda frames: frames + 1, LossyCodec(), edited)
    assert out[~edited[:, 0]].tobytes() == latent[~edited[:, 0]].tobytes()
    np.testing.assert_allclose(out[2:4], latent[2:4] + 1, atol=1e-5)


def test_the_offset_is_limited() -> None:
    latent = np.float32([[1e6], [-1e6]])

    class Unit(LossyCodec):
        def encode(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros_like(frames), np.ones_like(frames)

    np.testing.assert_array_equal(project(latent, lambda frames: frames, Unit(), np.array(True)), [[LIMIT], [-LIMIT]])


def test_with_the_identity_codec_the_edit_is_the_result() -> None:
    latent = latents()
    out = project(latent, lambda frames: frames * 2, IdentityCodec(), np.array(True))
    np.testing.assert_array_equal(out, latent * 2)


class RecordedCodec:
    """Gives the means and deviations that the reference recorded: first of the decoded, then of the edited video."""

    def __init__(self, *posteriors: tuple[np.ndarray, np.ndarray]) -> None:
        self._posteriors = list(posteriors)

    def encode(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._posteriors.pop(0)

    def decode(self, latent: np.ndarray) -> np.ndarray:
        return latent


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file: an eight-byte length, a JSON header, and the values one after another."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:start])
    header.pop("__metadata__", None)
    kinds = {"F32": np.float32, "F64": np.float64, "I64": np.int64}
    return {
        name: np.frombuffer(data[start:][slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
    }


CASES = {
    "plain_w20": ("in.pred_x0", "in.latent_z_var", "refined"),
    "clamp_w25": ("in.pred_x0_far", "in.latent_z_var", "refined"),
    "tiny_w25": ("in.pred_x0_tiny", "in.latent_z_var_tiny", "refined"),
    "identity_w25": ("in.pred_x0", "in.latent_z_var", "same"),
}


@pytest.mark.parametrize("tag", CASES)
def test_the_published_step(shared: Path, tag: str) -> None:
    file = shared / "golden" / "rpa_step.safetensors"
    if not file.exists():
        pytest.skip("the recorded values of the published step are not here")
    tensors = read_safetensors(file)
    clean, deviation, after = CASES[tag]
    decoded = tensors["in.latent_z"], tensors[deviation]
    edited = (tensors["in.latent_z_refined"], tensors["in.latent_z_refined_var"]) if after == "refined" else decoded
    out = project(tensors[clean], lambda frames: frames, RecordedCodec(decoded, edited), np.array(True))
    np.testing.assert_allclose(out, tensors[f"out.{tag}.new_pred_original_sample"], atol=ATOL, rtol=0)
