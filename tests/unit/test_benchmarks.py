"""Every benchmark starts as its first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
HELPERS = {"plain_stream", "real_sizes", "relight_places"}


@pytest.mark.parametrize("name", sorted(set(BENCHMARKS) - HELPERS))
def test_a_benchmark_starts(name: str) -> None:
    if name == "diffusion":
        pytest.importorskip("torch", reason="needs torch: pip install 'anyportal[diffusion]'")
    if name == "relight_scenes":
        pytest.importorskip("bpy", reason="needs Blender as a Python module: make test-blender")
    assert f"python -m benchmarks.{name}" in (ROOT / "benchmarks" / f"{name}.py").read_text("utf-8")
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (said.returncode, said.stderr) == (0, "")
    assert "usage:" in said.stdout
