"""The check of licences takes what goes with ours, and nothing that only sounds like it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / ".ci" / "licences.py"
spec = importlib.util.spec_from_file_location("licences", PATH)
assert spec is not None and spec.loader is not None
licences = importlib.util.module_from_spec(spec)
spec.loader.exec_module(licences)


@pytest.mark.parametrize(
    "licence",
    [
        "MIT",
        "Apache-2.0 OR GPL-3.0-only",
        "(BSD-3-Clause AND Zlib)",
        "DFSG approved; MIT License",
        "ISC License (ISCL)",
        "Copyright Contributors to the OpenColorIO Project.",
    ],
)
def test_these_go_with_ours(licence: str) -> None:
    assert licences.fits(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "Copyright Somebody",
        "Commercial, limited use, not permitted to redistribute",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "UNKNOWN",
        "",
    ],
)
def test_these_do_not(licence: str) -> None:
    assert not licences.fits(licence)
