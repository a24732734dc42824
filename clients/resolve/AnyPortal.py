"""AnyPortal in Resolve's menu Workspace > Scripts: gives the clip under the playhead a new background, as a take.

Install: this folder's files and the folder hostkit/ in Fusion/Scripts/Utility/AnyPortal, or set ANYPORTAL_HOSTS to
the folder that holds resolve/ and hostkit/.
"""

import os
import sys

try:
    _HERE = os.path.dirname(os.path.abspath(__file__))
except NameError:  # menu scripts may run without a file
    _HERE = ""
_HOSTS = os.environ.get("ANYPORTAL_HOSTS") or os.path.dirname(_HERE)
sys.path += [_HERE, os.path.join(_HERE, "hostkit"), os.path.join(_HOSTS, "resolve"), os.path.join(_HOSTS, "hostkit")]

import anyportal_resolve  # noqa: E402

if __name__ == "__main__":
    anyportal_resolve.main(globals().get("resolve"), globals().get("app"))
