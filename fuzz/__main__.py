"""Fuzz for some time, and keep what came of it.

    python -m fuzz [--minutes 60] [--only NAME ...] [--seed N] [--out benchmarks/results/fuzz.json]

Each target is tried in slices, each in a process of its own: what ends the process, or hangs, is a finding like an
exception is. Prints and keeps one JSON object; ends with 1 where something was found. `--slice NAME` is one slice in
this process.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fuzz.target import LAST, PATIENCE, Target, fuzz

OUT = Path(__file__).parents[1] / "benchmarks" / "results" / "fuzz.json"
SLICE_SECONDS = 30.0
TAIL = 3000
"""Characters of a finding that are kept."""


NAMES = ("rpc", "manifests", "paths", "media", "config", "lines")


def target(name: str) -> Target:
    """A target, of whose modules no other is loaded."""
    if name == "rpc":
        from fuzz.rpc import TARGET

        return TARGET
    if name == "media":
        from fuzz import media

        return media.TARGET
    if name in ("manifests", "paths"):
        from fuzz import manifests

        return next(each for each in manifests.TARGETS if each.name == name)
    from fuzz import texts

    return next(each for each in texts.TARGETS if each.name == name)


def slice_of(name: str, seconds: float, seed: int) -> dict[str, Any]:
    """One slice in a process of its own: what was tried, and what was found."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "fuzz", "--slice", name, "--seconds", str(seconds), "--seed", str(seed)]
        try:
            said = subprocess.run(
                [*command, "--folder", folder],
                capture_output=True,
                timeout=seconds + 4 * PATIENCE,
                cwd=Path(__file__).parents[1],
            )
        except subprocess.TimeoutExpired:
            return {"found": f"it hangs (seed {seed})", "example": _last(folder)}
        if said.returncode == 0:
            done: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
            return done
        how = f"exit code {said.returncode}, seed {seed}"
        tail = said.stderr.decode(errors="replace")[-TAIL:]
        return {"found": f"{how}\n{tail}", "example": _last(folder)}


def _last(folder: str) -> str:
    file = Path(folder) / LAST
    return file.read_text("utf-8")[:TAIL] if file.exists() else ""


def run(names: list[str], minutes: float, seed: int) -> dict[str, Any]:
    """All targets in turn until the time is over."""
    begun, rounds = time.monotonic(), 0
    totals: dict[str, dict[str, Any]] = {
        name: {"examples": 0, "seconds": 0.0, "slowest_seconds": 0.0, "findings": []} for name in names
    }
    share = min(SLICE_SECONDS, minutes * 60 / len(names))
    while not rounds or time.monotonic() - begun < minutes * 60:
        for name in names:
            done, total = slice_of(name, share, seed + 1000 * rounds), totals[name]
            if "found" in done:
                total["findings"].append(done)
                print(f"{name}: {done['found'][-500:]}", file=sys.stderr, flush=True)
                continue
            total["examples"] += done["examples"]
            total["seconds"] = round(total["seconds"] + done["seconds"], 1)
            total["slowest_seconds"] = round(max(total["slowest_seconds"], done["slowest_seconds"]), 2)
        rounds += 1
    return {
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "seed": seed,
        "python": platform.python_version(),
        "targets": totals,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--only", nargs="*", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seed", type=int, default=random.randrange(2**30))
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--slice", choices=NAMES)
    parser.add_argument("--seconds", type=float, default=SLICE_SECONDS)
    parser.add_argument("--folder", type=Path, default=Path())
    given = parser.parse_args()
    if given.slice:
        print(json.dumps(asdict(fuzz(target(given.slice), given.seconds, given.seed, given.folder))))
        return 0
    kept = run(given.only, given.minutes, given.seed)
    given.out.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    print(json.dumps(kept))
    return 1 if any(total["findings"] for total in kept["targets"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
