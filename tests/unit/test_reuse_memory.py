"""On a processor freed memory is used again instead of fetched anew."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

CODE = """
import resource
import numpy as np
from anyportal_core.plugins import device
from anyportal_core.plugins.device import Load, keep_on

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(25_000_000, np.float32)  # 100 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

fresh = [faults() for _ in range(3)]
keep_on("cpu", ("key",), Load((), 0.0), lambda: 1)
faults()
print(min(fresh), max(faults() for _ in range(3)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_second_array_lies_where_the_first_was() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    fresh, again = map(int, done.stdout.split())
    assert again < fresh / 10
