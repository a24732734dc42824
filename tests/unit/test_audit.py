"""The audit of packages fails on a known hole, and says so where it could look nothing up."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / ".ci" / "audit.py"
spec = importlib.util.spec_from_file_location("audit", PATH)
assert spec is not None and spec.loader is not None
audit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)

# Answers as pip-audit writes them.
HOLE = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [
        {
            "id": "PYSEC-2014-8",
            "fix_versions": ["2.7.2"],
            "aliases": ["CVE-2014-1402", "GHSA-8r7q-cvjq-x353"],
            "description": "The default configuration for bccache.FileSystemBytecodeCache creates files insecurely.",
        }
    ],
}
GOOD = {"name": "attrs", "version": "25.3.0", "vulns": []}
UNKNOWN = {
    "name": "attrs",
    "skip_reason": "Dependency not found on PyPI and could not be audited: attrs (25.3.0)",
}
CUT = (
    "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed\n"
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.osv.dev', port=443): Max retries exceeded"
)


def answer(*packages: object) -> object:
    return audit.read(json.dumps({"dependencies": packages, "fixes": []}), "")


def test_a_known_hole_fails_and_is_named_once() -> None:
    code, said = audit.verdict({"pypi": answer(HOLE, GOOD), "osv": answer(HOLE)})
    assert code == 1
    assert said[0] == "audit: 2 packages looked up, 1 known holes"
    assert said[1:] == ["jinja2 2.4.1: PYSEC-2014-8, mended in ['2.7.2']"]


def test_what_one_database_cannot_say_the_other_may() -> None:
    code, said = audit.verdict({"pypi": answer(UNKNOWN), "osv": answer(GOOD)})
    assert (code, said) == (0, ["audit: 1 packages looked up, 0 known holes"])


def test_packages_that_nobody_looked_up_are_named() -> None:
    own = {"name": "anyportal", "skip_reason": "Dependency not found on PyPI"}
    odd = {"name": "of-the-house", "skip_reason": "Dependency not found on PyPI"}
    code, said = audit.verdict({"pypi": answer(GOOD, own, odd), "osv": audit.read("", CUT)})
    assert code == 0 and said[-1] == "not looked up: of-the-house"


@pytest.mark.parametrize("pypi", [audit.read("", CUT), answer(UNKNOWN), audit.Answer(None, "no answer within 120 s")])
def test_without_a_database_it_says_that_nothing_was_looked_up(pypi: object) -> None:
    code, said = audit.verdict({"pypi": pypi, "osv": audit.read("", CUT)})
    assert code == 0 and said[0].startswith("audit: SKIPPED, nothing was looked up")
    assert "api.osv.dev" in said[-1], "why is told"


def test_an_audit_that_cannot_even_start_fails() -> None:
    broken = audit.read("", "/usr/bin/python3: No module named pip_audit")
    assert audit.verdict({"pypi": broken, "osv": broken})[0] == 1
