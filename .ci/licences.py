"""Whether every package that AnyPortal installs has a licence that goes with its own.

Looks at what is installed of the distribution's requirements, extras included, and theirs: tools for development are
nobody's business but the developers'. `pip-licenses` reads the licences.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement

EXTRAS = ("", "daemon", "diffusion")

# As packages write them. LGPL: used as a library that anybody can replace, as pip installs it.
ALLOWED = {
    *(
        "0BSD",
        "3-Clause BSD License",
        "Apache 2.0 License",
        "Apache License 2.0",
        "Apache Software License",
        "Apache-2.0",
    ),
    *(
        "Apache-2.0 WITH LLVM-exception",
        "BSD License",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CNRI-Python",
    ),
    *("HPND", "ISC", "ISC License (ISCL)", "LGPL-2.1-or-later", "LGPL-3.0-or-later"),
    *("GNU Lesser General Public License v2 or later (LGPLv2+)", "MIT", "MIT License", "MIT-0", "MIT-CMU", "MPL-2.0"),
    *("Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0", "Python Software Foundation License", "Unlicense", "Zlib"),
}

# What packages write where only the text itself, which was read, says which licence it is.
TEXTS = {"Copyright Contributors to the OpenColorIO Project.": "BSD-3-Clause"}


def fits(licence: str) -> bool:
    """Whether one of the licences that may be chosen from goes with ours, all of its parts."""
    choices = re.split(r" OR |;", TEXTS.get(licence, licence))
    return any(all(_bare(part) in ALLOWED for part in choice.split(" AND ")) for choice in choices)


def _bare(part: str) -> str:
    """A name without what groups it with others."""
    part = part.strip()
    if part.count("(") != part.count(")"):
        part = part.strip("()")
    return part


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
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json", "--packages", *names]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    strange = [f"{each['Name']}: {each['License']}" for each in found if not fits(each["License"])]
    if strange or not found:
        print("licences that are not known to go with Apache-2.0:", *strange or ["none was found"], sep="\n  ")
        return 1
    print(f"licences: {len(found)} packages, all of a licence that goes with Apache-2.0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
