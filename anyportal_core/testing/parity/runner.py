"""Run the golden cases of a folder and compare, output by output."""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import torch

from anyportal_core.testing import parity
from anyportal_core.testing.parity.golden import Case, Golden, read_golden

NOTES = frozenset({"mistake_sizes", "tracking_rule"})
"""Files that explain: nothing in them can be run unless a family registers a case of that name."""


@dataclass(frozen=True)
class Outcome:
    """What came of one case: its largest error, the tolerance that error was held to, and why it failed."""

    case: str
    max_error: float
    atol: float
    reason: str = ""

    @property
    def line(self) -> str:
        verdict = "FAIL" if self.reason else "ok"
        return f"{self.case} {self.max_error:.3g} {self.atol:.3g} {verdict}"


def known_cases() -> dict[str, Case]:
    """All registered cases, by name."""
    families = [name for _, name, _ in pkgutil.iter_modules(parity.__path__) if name.startswith("cases_")]
    modules = [importlib.import_module(f"{parity.__name__}.{name}") for name in families]
    return {name: case for module in modules for name, case in module.CASES.items()}


def find_case(name: str, cases: Mapping[str, Case]) -> Case | None:
    """The case of this name, or of the longest known name that it carries a suffix to (``_seed7``, ``.7``, ``-7``)."""
    fitting = [known for known in cases if name == known or re.match(rf"{re.escape(known)}[._-]", name)]
    return cases[max(fitting, key=len)] if fitting else None


def run_folder(folder: Path) -> Iterator[Outcome]:
    """The outcome of every case of a folder, by file name."""
    cases = known_cases()
    stems = {file.stem for file in folder.iterdir() if file.suffix in (".json", ".safetensors")}
    for stem in sorted(stems - (NOTES - cases.keys())):
        yield _run_file(folder / f"{stem}.json", cases)


def run_case(golden: Golden, case: Case) -> Outcome:
    """Run one case and compare; what the case itself raises is for the caller."""
    with torch.no_grad():
        produced = case.run(golden)
    errors = {
        name: (max_error(produced[name], value) if name in produced else math.inf, _tolerance(case, name))
        for name, value in expected_outputs(golden, case).items()
    }
    if not errors:
        return Outcome(golden.name, math.inf, math.nan, "the case has no outputs to compare with")
    worst = max(errors, key=lambda name: _excess(*errors[name]))
    error, atol = errors[worst]
    if error <= atol:
        return Outcome(golden.name, error, atol)
    reason = f"{worst} is off by {error:.3g}" if worst in produced else f"{worst} is missing"
    return Outcome(golden.name, error, atol, reason)


def expected_outputs(golden: Golden, case: Case) -> dict[str, torch.Tensor]:
    """The recorded outputs; in a case without tensors, the numbers of its json by dotted path."""
    outputs = golden.outputs or dict(_numbers(golden.meta))
    return {name: value for name, value in outputs.items() if any(fnmatchcase(name, a) for a in case.answers)}


def max_error(produced: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest absolute difference; infinite where shapes differ or only one of two values is finite."""
    if produced.shape != expected.shape:
        return math.inf
    a, b = produced.detach().cpu().double(), expected.double()
    same = (a == b) | (a.isnan() & b.isnan())
    difference = torch.where(same, 0.0, (a - b).abs().nan_to_num(nan=math.inf, posinf=math.inf))
    return float(difference.max()) if difference.numel() else 0.0


def _run_file(description: Path, cases: Mapping[str, Case]) -> Outcome:
    if not description.exists():
        return Outcome(description.stem, math.inf, math.nan, "tensors without a json file")
    # One bad case must not hide the others, whatever it raises.
    try:
        golden = read_golden(description)
        case = find_case(golden.name, cases)
        if case is None:
            return Outcome(golden.name, math.inf, math.nan, "nobody knows this case")
        return run_case(golden, case)
    except Exception:
        return Outcome(description.stem, math.inf, math.nan, traceback.format_exc())


def _tolerance(case: Case, output: str) -> float:
    if not isinstance(case.atol, Mapping):
        return case.atol
    return next((atol for pattern, atol in case.atol.items() if fnmatchcase(output, pattern)), 0.0)


def _excess(error: float, atol: float) -> tuple[float, float, float]:
    """Orders outputs by how much of their tolerance they use; then by their error, then by their tolerance."""
    return (error / atol if atol else math.inf if error else 0.0), error, atol


def _numbers(value: object, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
        yield path, torch.tensor(value, dtype=torch.float64)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _numbers(inner, f"{path}.{index}")
    elif isinstance(value, int | float):
        yield path, torch.tensor(value, dtype=torch.float64)
