"""The benchmark of the whole method, with tiny models on a processor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]
STAGES = ["matte", "tracks", "motion", "first_frame", "background", "clean_background", "harmonise", "refine", "finish"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(work: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.diffusion",
        "--tiny",
        "--work",
        str(work),
        "--results",
        str(work / "results"),
    ]
    done = subprocess.run([*command, "--device", "cpu"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (kept,) = (work / "results").iterdir()
    result: dict[str, Any] = json.loads(kept.read_text("utf-8"))
    assert json.loads(done.stdout) == result
    return result


def test_every_stage_is_measured_and_a_second_run_keeps_the_numbers(tmp_path: Path) -> None:
    first = run(tmp_path)
    stages = first["stages"]
    assert list(stages) == ["found_matte", *STAGES, "boxed_refine", "boxed_finish"]
    assert all(stage["seconds"] > 0 and stage["peak_gib"] > 0 for stage in stages.values())
    arithmetic = {name for name, stage in stages.items() if stage["tflop"] > 0}
    assert arithmetic == set(stages) - {"matte", "tracks", "finish", "boxed_finish"}
    assert 0 < first["boxed_differs"]["mean"] < first["boxed_differs"]["most"] < 10
    assert first["passes"] and all(first["passes"].values())

    again = run(tmp_path)
    finishes = {"finish", "boxed_finish"}  # never kept
    kept = {name: stage for name, stage in again["stages"].items() if name not in finishes}
    assert kept == {name: stage for name, stage in stages.items() if name not in finishes}
    assert again["passes"] == first["passes"]
