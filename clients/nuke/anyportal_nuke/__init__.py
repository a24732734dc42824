"""AnyPortal inside Nuke: give a node's picture a new background, and bring the result back as nodes.

Python 3.7, the standard library and `nuke` alone: the work is done by the command `anyportal` beside it
(anyportal_hostkit). Nothing here is loaded by init.py; menu.py loads it where there is a window.
"""

from anyportal_nuke.actions import cancel, compare, doctor, on_selected, replace_background, rerun, show_job
from anyportal_nuke.daemons import look as look_for_daemons
from anyportal_nuke.headless import process, process_again
from anyportal_nuke.refused import Refused

__all__ = [
    "Refused",
    "cancel",
    "compare",
    "doctor",
    "look_for_daemons",
    "on_selected",
    "process",
    "process_again",
    "replace_background",
    "rerun",
    "show_job",
]
