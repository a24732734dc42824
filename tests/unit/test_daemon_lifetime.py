"""What a worker's process is set up with before it serves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
from types import SimpleNamespace
from anyportal_daemon.worker import child

class Worker:
    def __init__(self, *given): ...
    def serve(self): print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules, file=sys.stderr)

child.Worker = Worker
child.main(None, SimpleNamespace(parent=os.getppid()))
"""


@pytest.mark.parametrize(("given", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(given: dict[str, str], policy: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | given
    done = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True)
    assert done.stderr.split() == [policy, "False"]
