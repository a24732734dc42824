"""The selfie networks without their last steps, which are done beside OpenCV."""

from __future__ import annotations

from importlib.resources import files

import cv2
import numpy as np
import pytest

from anyportal_core.plugins.draft.matte.selfie import Selfie
from anyportal_core.plugins.draft.matte.tflite import without_head

MODELS = {"selfie_segmentation.tflite": (256, 256), "selfie_segmentation_landscape.tflite": (144, 256)}


def read(name: str) -> bytes:
    return (files("anyportal_core.plugins.draft.models") / name).read_bytes()


def run(model: bytes, picture: np.ndarray) -> np.ndarray:
    net = cv2.dnn.readNetFromTFLite(np.frombuffer(model, np.uint8))
    net.setInput(cv2.dnn.blobFromImage(picture))
    return np.asarray(net.forward()[0])


@pytest.mark.parametrize("name", MODELS)
def test_what_is_taken_off_is_the_last_enlarging_alone(name: str) -> None:
    height, width = MODELS[name]
    cut = without_head(read(name))
    assert len(cut) == len(read(name)), "patched, not copied"
    features = run(cut, np.zeros((height, width, 3), np.float32))
    assert features.shape == (16, height // 2, width // 2)


def test_it_finds_what_the_whole_networks_find() -> None:
    y, x = np.mgrid[:144, :256].astype(np.float32)
    someone = np.exp(-(((x - 128) / 40) ** 2) - ((y - 90) / 70) ** 2)[..., None]
    picture = (0.2 + 0.6 * someone * np.float32([1, 0.7, 0.6])).astype(np.float32)
    expected = []
    for name, (height, width) in MODELS.items():
        found = run(read(name), cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))[0]
        expected.append(cv2.resize(found, (256, 144), interpolation=cv2.INTER_CUBIC).clip(0, 1))
    assert np.ptp(expected[0]) > 0.1, "nothing to compare"
    selfie = Selfie()
    np.testing.assert_allclose(selfie._look(picture), (expected[0] + expected[1]) / 2, atol=2e-6)
