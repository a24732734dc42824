"""``python -m anyportal_core.testing.parity DIR``: run every golden case of a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from anyportal_core.testing.parity.runner import run_folder

USAGE = "usage: python -m anyportal_core.testing.parity DIR"


def main(arguments: list[str]) -> int:
    """Print a line a case, then the tally. Exit status: 0 all passed, 1 some failed, 2 wrong use."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(USAGE, file=sys.stderr)
        return 2
    passed = failed = 0
    for outcome in run_folder(Path(arguments[0])):
        print(outcome.line, flush=True)
        if outcome.reason:
            failed += 1
            print(f"  {outcome.case}: {outcome.reason.strip()}", file=sys.stderr)
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
