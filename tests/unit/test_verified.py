"""What is said of every published model: which golden cases and manifests hold it, or that none does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anyportal_core.models import PUBLISHED
from anyportal_core.testing.manifests import manifests
from anyportal_core.verified import VERIFIED, statement
from anyportal_daemon.models import Action, models

DOCUMENT = Path(__file__).parents[2] / "docs/models.md"


def test_every_published_model_is_held_to_something_or_listed_as_unverified() -> None:
    assert VERIFIED.keys() == PUBLISHED.keys()
    assert [name for name, found in VERIFIED.items() if not (found.golden or found.manifests or found.unverified)] == []


def test_every_manifest_is_of_a_model() -> None:
    named = {manifest for found in VERIFIED.values() for manifest in found.manifests}
    assert named == {manifest.name for manifest in manifests()}


def test_every_golden_case_is_there_and_run(shared: Path) -> None:
    pytest.importorskip("torch")
    from anyportal_core.testing.parity.runner import known_cases

    named = {case for found in VERIFIED.values() for case in found.golden}
    assert [case for case in named if not (shared / "golden" / f"{case}.json").is_file()] == []
    assert named <= known_cases().keys()


def test_a_statement_is_short_words() -> None:
    assert statement("iclight/fc") == "golden cases iclight_unet_fc, iclight_sampler; manifest iclight_fc"
    assert statement("hed").startswith("manifest hed; unverified: ")
    assert statement("studio/own").startswith("unverified: ")


def test_the_list_and_the_document_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models(Action.list, tmp_path, as_json=True)
    told = {event["name"]: event["verified"] for event in map(json.loads, capsys.readouterr().out.splitlines())}
    models(Action.list, tmp_path)
    printed, document = capsys.readouterr().out, DOCUMENT.read_text("utf-8")
    for name, known in PUBLISHED.items():
        assert told[name] == statement(name)
        assert f"\n{'':22} {statement(name)}\n" in printed
        assert f"| `{name}` | {known.size:g} | {known.source} | {statement(name)} |" in document
