"""What the scripts inside Nuke, Resolve and Blender share. Standard library only; Python 3.7 reads it.

Nothing of AnyPortal is imported into a host: hosts load their own protobuf and crash on a second one. The command
`anyportal` runs beside it, in an environment of its own, and says what happens as JSON lines.
"""

from anyportal_hostkit.command import CommandNotFound, clean_environment, find_command
from anyportal_hostkit.patterns import file_of, has_counter
from anyportal_hostkit.run import Cancelled, CommandFailed, Run, submit
from anyportal_hostkit.versions import next_version_folder

__all__ = [
    "Cancelled",
    "CommandFailed",
    "CommandNotFound",
    "Run",
    "clean_environment",
    "file_of",
    "find_command",
    "has_counter",
    "next_version_folder",
    "submit",
]
