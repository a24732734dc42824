"""Golden cases: the runner itself, and every case beside the checkout."""

from __future__ import annotations

import json
import math
import runpy
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from safetensors.torch import save_file  # noqa: E402

from anyportal_core.testing.parity.__main__ import main  # noqa: E402
from anyportal_core.testing.parity.golden import Case, Golden, Tensors, read_golden  # noqa: E402
from anyportal_core.testing.parity.runner import (  # noqa: E402
    find_case,
    known_cases,
    max_error,
    run_case,
    run_folder,
)

COMPRESS = "cogvideox_controlnet_compress_time"
COGVIDEOX = ["cogvideox_", "das_", "rpa_step", "ddim_step", "stage3_loop"]


def write_case(folder: Path, name: str = COMPRESS, case: str | None = None, error: float = 0.0) -> None:
    """A right case of time compression, or one that is off by ``error``."""
    frames = torch.arange(4.0).reshape(2, 2, 1, 1)
    tensors = {"in.x2": frames.reshape(4, 1, 1, 1), "out.x2": frames.mean(1).reshape(2, 1, 1, 1) + error}
    (folder / f"{name}.json").write_text(json.dumps({"case": case or name, "config": {"batch": 2}}), "utf-8")
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors")


@pytest.mark.parametrize("family", COGVIDEOX)
def test_golden_cases_agree(shared: Path, family: str) -> None:
    cases = known_cases()
    files = sorted((shared / "golden").glob(f"{family}*.json"))
    assert files
    for file in files:
        golden = read_golden(file)
        case = find_case(golden.name, cases)
        assert case is not None
        outcome = run_case(golden, case)
        assert not outcome.reason, outcome


@pytest.mark.parametrize("name", ["das_transformer_rotary_learned", "cogvideox_controlnet_2b", "das_pipeline"])
def test_golden_cases_agree_in_float64(shared: Path, name: str) -> None:
    outcome = run_case(read_golden(shared / "golden" / f"{name}.json").to(torch.float64), known_cases()[name])
    assert not outcome.reason, outcome


def test_a_mistake_is_found(shared: Path) -> None:
    golden = read_golden(shared / "golden" / "das_transformer_2b.json")
    weights = golden.weights | {"proj_out.bias": golden.weights["proj_out.bias"] + 1e-3}
    outcome = run_case(Golden(**{**vars(golden), "weights": weights}), known_cases()[golden.name])
    assert outcome.max_error == pytest.approx(1e-3, rel=1e-2)
    assert "sample" in outcome.reason


def test_a_case_is_known_by_its_name_or_a_suffix_of_it() -> None:
    cases = {name: Case(lambda _: {}, 0.0) for name in ("das", "das_2b", "das_2b_resized")}
    assert find_case("das_2b", cases) is cases["das_2b"]
    assert find_case("das_2b_seed7", cases) is cases["das_2b"]
    assert find_case("das_2b_resized-3", cases) is cases["das_2b_resized"]
    assert find_case("das_2bis", cases) is cases["das"]
    assert find_case("dash", cases) is None
    assert find_case("other", cases) is None


def test_a_folder_is_told_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_case(tmp_path)
    write_case(tmp_path, "other_file", case=f"{COMPRESS}_seed2")
    assert main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{COMPRESS} 0 2e-06 ok", f"{COMPRESS}_seed2 0 2e-06 ok", "2 passed, 0 failed"]


def test_failures_set_the_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_case(tmp_path)
    write_case(tmp_path, f"{COMPRESS}_off", error=0.5)
    write_case(tmp_path, "nobody_knows")
    (tmp_path / "broken.json").write_text("{", "utf-8")
    save_file({"out.x": torch.zeros(1)}, tmp_path / "lonely.safetensors")
    assert main([str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[-1] == "1 passed, 4 failed"
    assert f"{COMPRESS}_off 0.5 2e-06 FAIL" in told.out
    assert "nobody knows this case" in told.err


def test_an_empty_folder_is_no_success(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
    assert main([]) == 2
    assert main([str(tmp_path / "nowhere")]) == 2


def test_notes_beside_the_cases_are_no_cases(tmp_path: Path) -> None:
    (tmp_path / "mistake_sizes.json").write_text('{"a": 1}', "utf-8")
    assert list(run_folder(tmp_path)) == []


def outcome_of(outputs: Tensors, produced: Tensors, atol: float | dict[str, float] = 0.1) -> str:
    golden = Golden("x", {}, {}, {}, outputs, Path())
    return run_case(golden, Case(lambda _: produced, atol)).reason


def test_missing_and_misshapen_outputs_fail() -> None:
    one = {"a": torch.ones(2)}
    assert not outcome_of(one, one | {"more": torch.ones(1)})
    assert "a is missing" in outcome_of(one, {})
    assert outcome_of(one, {"a": torch.ones(1)})
    assert "no outputs" in outcome_of({}, {})


def test_each_output_has_its_tolerance() -> None:
    outputs = {"picture_u8": torch.tensor([3], dtype=torch.uint8), "picture": torch.tensor([0.5])}
    off = {"picture_u8": torch.tensor([4], dtype=torch.uint8), "picture": torch.tensor([0.5])}
    assert not outcome_of(outputs, off, {"*_u8": 1.0, "*": 0.0})
    assert "picture_u8" in outcome_of(outputs, off, {"*": 0.0})


def test_errors_are_never_hidden_by_values_that_are_no_numbers() -> None:
    nan, inf = torch.tensor([math.nan]), torch.tensor([math.inf])
    assert max_error(nan, torch.zeros(1)) == math.inf
    assert max_error(torch.zeros(1), nan) == math.inf
    assert max_error(inf, -inf) == math.inf
    assert max_error(inf, inf) == 0.0
    assert max_error(nan, nan) == 0.0


def test_the_command_runs_as_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_case(tmp_path)
    monkeypatch.setattr(sys, "argv", ["parity", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("anyportal_core.testing.parity", run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
