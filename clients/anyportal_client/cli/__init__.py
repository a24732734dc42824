"""The command `anyportal`."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from anyportal_client.cli.app import run

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # no path is worth dying for
    sys.exit(run(sys.argv[1:]))
