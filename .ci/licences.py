"""Whether every package that AnyPortal installs has a licence that goes with its own.

Looks at what is installed of the distribution's requirements, extras included, and theirs: tools for development are
nobody's business but the developers'. `pip-licenses` reads the licences.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement

EXTRAS = ("", "daemon", "diffusion")

# LGPL: used as a library that anybody can replace, as pip installs it.
ALLOWED = (
    *("MIT", "Apache", "BSD", "ISC", "PSF-2.0", "Python Software Foundation", "MPL-2.0", "Mozilla Public License 2.0"),
    *("0BSD", "Zlib", "CC0-1.0", "Unlicense", "HPND", "LGPL", "Lesser General Public"),
)


def installed(name: str, extras: tuple[str, ...], found: set[str]) -> set[str]:
    """A distribution and what it requires here, as far as it is installed."""
    for text in requires(name) or ():
        needed = Requirement(text)
        wanted = needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras)
        key = re.sub(r"[-_.]+", "-", needed.name).lower()
        if wanted and key not in found:
            found.add(key)
            try:
                installed(needed.name, ("", *needed.extras), found)
            except PackageNotFoundError:
                found.discard(key)
    return found


def main() -> int:
    names = sorted(installed("anyportal", EXTRAS, set()) - {"anyportal"})
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--partial-match"]
    command += ["--allow-only", ";".join(ALLOWED), "--packages", *names]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode:
        print(said.stderr.strip() or said.stdout.strip())
        return 1
    print(f"licences: {len(names)} packages, all of a licence that goes with Apache-2.0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
