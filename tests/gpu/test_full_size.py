"""The whole method at its published size on a GPU: random weights, 49 frames of 720x480, every stage measured.

Writes its result beside the other ones, in ``benchmarks/results``. It takes 46 GB of disk, in $ANYPORTAL_BENCHMARK if
that names a folder: what is there already is used again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]
NETWORKS = ("found_matte", "motion", "first_frame", "background", "clean_background", "harmonise", "refine")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def test_every_stage_runs_at_its_published_size(tmp_path: Path) -> None:
    work = Path(os.environ.get("ANYPORTAL_BENCHMARK", tmp_path))
    command = [sys.executable, "-m", "benchmarks.diffusion", "--work", str(work), "--device", "cuda:0"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, "see what it said above"
    result = json.loads(done.stdout)
    assert result["frames"] == 49 and result["size"] == "720x480"
    for name in NETWORKS:
        stage = result["stages"][name]
        assert stage["seconds"] > 0 and stage["peak_gib"] > 0 and stage["tflop"] > 0, name
    assert all(result["passes"].values())
    assert result["stages"]["boxed_refine"]["tflop"] < result["stages"]["refine"]["tflop"]
