"""Whether a package that is installed here has a known hole, where a database that knows can be reached.

Two are asked, PyPI's own and OSV. Where neither answers, that is said in so many words and nothing fails: a machine
without a way out is no hole. What was not looked up is named, and so is never taken for good.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

SECONDS = 120

DATABASES = ("pypi", "osv")

OWN = "anyportal"
"""No database knows it: it is what is looked after here."""


class Answer(NamedTuple):
    """What one database said.

    Args:
        packages: as pip-audit lists them; None: it did not come to that.
        why: what pip-audit said last, where there is no list.
    """

    packages: list[dict[str, Any]] | None
    why: str = ""


def ask(database: str) -> Answer:
    """Have pip-audit look all installed packages up."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--local"]
    try:
        said = subprocess.run(
            [*command, "--vulnerability-service", database], capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return Answer(None, f"no answer within {SECONDS} s")
    return read(said.stdout, said.stderr)


def read(out: str, err: str) -> Answer:
    """What pip-audit wrote."""
    try:
        return Answer(json.loads(out)["dependencies"])
    except (ValueError, KeyError):
        return Answer(None, (err.strip() or "it said nothing").splitlines()[-1][-300:])


def verdict(answers: dict[str, Answer]) -> tuple[int, list[str]]:
    """The exit code and what to say.

    Args:
        answers: by database.
    """
    if any("No module named" in answer.why for answer in answers.values()):
        return 1, ["audit: FAILED, pip-audit is not installed: make check installs it"]
    packages = [package for answer in answers.values() for package in answer.packages or ()]
    looked_up = [package for package in packages if "vulns" in package]
    if not looked_up:
        reasons = (f"{name}: {answer.why or 'it knows none of the packages'}" for name, answer in answers.items())
        return 0, [
            "audit: SKIPPED, nothing was looked up: no database of known holes can be reached from here",
            *reasons,
        ]
    holes = {
        f"{package['name']} {package['version']}: {hole['id']}, mended in {hole['fix_versions'] or 'nothing yet'}"
        for package in looked_up
        for hole in package["vulns"]
    }
    known = {package["name"] for package in looked_up}
    rest = sorted({package["name"] for package in packages} - known - {OWN})
    said = [f"audit: {len(known)} packages looked up, {len(holes)} known holes", *sorted(holes)]
    return (1 if holes else 0), [*said, *([f"not looked up: {', '.join(rest)}"] if rest else [])]


def main() -> int:
    code, said = verdict({database: ask(database) for database in DATABASES})
    print("\n".join(said))
    return code


if __name__ == "__main__":
    sys.exit(main())
