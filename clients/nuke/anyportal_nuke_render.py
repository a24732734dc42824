"""Replace a background without a window:

nuke -t anyportal_nuke_render.py --script comp.nk --node Read1 --backdrop beach.jpg --range=1001-1010

`--help` tells the rest. The exit code is 0, or what docs/errors.md says.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
for _folder in (_HERE, os.path.join(os.path.dirname(_HERE), "hostkit")):
    if _folder not in sys.path:  # where init.py was not read: the folder is not on NUKE_PATH
        sys.path.append(_folder)

from anyportal_nuke import headless  # noqa: E402

if __name__ == "__main__":
    sys.exit(headless.main())
