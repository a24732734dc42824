"""Read by every Nuke, with a window or without: nothing here may need one, or the network."""

import os
import sys

# Beside this folder; appended, so that nothing of the host is shadowed.
sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hostkit"))
