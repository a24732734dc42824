"""Networks are told apart by the file of their weights, and each of their passes is heard once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from anyportal_core.models import Models  # noqa: E402
from anyportal_core.plugins.cogvideox.published import load_codec  # noqa: E402
from anyportal_core.plugins.passes import VARIABLE, heard, named  # noqa: E402
from anyportal_core.testing.counting import passes_by_network  # noqa: E402
from anyportal_core.testing.tiny.video import write_cogvideox  # noqa: E402


class Broken(torch.nn.Module):
    def forward(self, value: object) -> object:
        raise ValueError("broken")


def line(name: str) -> torch.nn.Sequential:
    return named(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()), Path(name))


def test_a_pass_is_its_networks_and_a_part_that_runs_alone_has_its_own_name() -> None:
    told: list[str] = []
    first, second = line("/models/first"), line("/models/second")
    with heard(told.append):
        first(torch.zeros(1, 2))
        second(torch.zeros(1, 2))
        second[0](torch.zeros(1, 2))
        torch.nn.Linear(2, 2)(torch.zeros(1, 2))
    second(torch.zeros(1, 2))
    assert told == ["/models/first", "/models/second", "/models/second#0"]


def test_a_pass_that_ends_by_an_error_is_none_and_the_next_is_heard() -> None:
    told: list[str] = []
    broken, sound = named(torch.nn.Sequential(Broken()), Path("broken")), line("sound")
    with heard(told.append):
        with pytest.raises(ValueError, match="broken"):
            broken(torch.zeros(1))
        sound(torch.zeros(1, 2))
    assert told == ["sound"]


def test_what_never_ran_is_counted_as_zero_and_a_codec_by_its_halves(tmp_path: Path) -> None:
    models = Models(tmp_path)
    write_cogvideox(models.place("cogvideox-5b"), rotary=True)
    told: list[str] = []
    with heard(told.append), torch.no_grad():
        load_codec(models.find("cogvideox-5b")).encode(torch.zeros(1, 1, 3, 16, 16))
    assert passes_by_network(told, models, ["cogvideox-5b"]) == {
        "cogvideox-5b/text_encoder": 0,
        "cogvideox-5b/transformer": 0,
        "cogvideox-5b/vae decoder": 0,
        "cogvideox-5b/vae encoder": 1,
    }


def test_another_process_writes_its_passes_into_a_file(tmp_path: Path) -> None:
    code = """
from pathlib import Path
import torch
from anyportal_core.plugins.passes import named
network = named(torch.nn.Sequential(torch.nn.Linear(2, 2)), Path("here"))
named(network, Path("there"))
network(torch.zeros(1, 2)), network(torch.zeros(1, 2))
"""
    file = tmp_path / "passes"
    subprocess.run([sys.executable, "-c", code], env={VARIABLE: str(file)}, check=True)
    assert file.read_text() == "there\nthere\n"
