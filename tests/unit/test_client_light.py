"""The client stays light: what an import pulls in, and how long help takes."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

HEAVY = {"numpy", "torch", "cv2", "av", "opentimelineio", "grpc", "google", "OpenImageIO", "anyportal_core", "rich"}


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def loaded_by(code: str) -> set[str]:
    """Top-level packages that some code loads."""
    return set(python(f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})").split())


def test_importing_the_client_loads_nothing_heavy() -> None:
    assert not loaded_by("import anyportal_client; dir(anyportal_client)") & (HEAVY | {"typer", "asyncio"})


def test_importing_the_client_is_quick() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import anyportal_client"]
    taken = []
    for _ in range(3):
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        found = re.search(r"\|\s+(\d+) \| anyportal_client$", lines, re.MULTILINE)
        assert found is not None
        taken.append(int(found[1]) / 1e6)
    assert min(taken) < 0.2


def test_the_whole_client_needs_no_heavy_package() -> None:
    loaded = loaded_by(
        "from anyportal_client import Client, AsyncClient, ShotRequest; import anyportal_client.cli.flow"
    )
    assert "grpc" in loaded and not loaded & {
        "numpy", "torch", "cv2", "av", "opentimelineio", "OpenImageIO", "anyportal_core", "anyportal_daemon", "rich"
    }  # fmt: skip


def test_a_command_loads_only_itself() -> None:
    code = "from anyportal_client.cli.app import run; run(['submit', 'nothing.mov', '--backdrop', '#000000'])"
    loaded = loaded_by(code)
    assert not loaded & {"numpy", "cv2", "av", "opentimelineio", "anyportal_core", "anyportal_daemon", "rich"}


def test_help_is_quick() -> None:
    resource = pytest.importorskip("resource", reason="this system does not tell what a process used")
    command = [sys.executable, "-m", "anyportal_client.cli", "--help"]
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(taken) < 0.4  # of the processor: the clock on the wall belongs to all tests at once


def test_every_name_of_the_package_is_there() -> None:
    import anyportal_client

    for name in anyportal_client.__all__:
        assert getattr(anyportal_client, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        anyportal_client.Nothing  # noqa: B018
