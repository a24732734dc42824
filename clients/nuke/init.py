"""Read by every Nuke, with a window or without: nothing here may need one, or the network."""

import os
import sys

# Appended, so that nothing of the host is shadowed: this folder, for `nuke -t`, and hostkit beside it.
_HERE = os.path.dirname(os.path.abspath(__file__))
for _folder in (_HERE, os.path.join(os.path.dirname(_HERE), "hostkit")):
    if _folder not in sys.path:
        sys.path.append(_folder)
