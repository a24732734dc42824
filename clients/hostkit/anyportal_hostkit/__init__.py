"""What the scripts inside Nuke, Resolve and Blender share. Standard library only; Python 3.7 reads it.

Nothing of AnyPortal is imported into a host: hosts load their own protobuf and crash on a second one. The command
`anyportal` runs beside it, in an environment of its own, and says what happens as JSON lines.

    work = hostkit.Work(folder, {"plate": ..., "backdrop": ..., "range": "1001-1100"}, host={"name": "nuke"})
    done = work.follow(on_event, cancelled)
"""

from anyportal_hostkit import colours, daemons, doctor, frames, paths, record, report
from anyportal_hostkit.command import CommandNotFound, clean_environment, find_command
from anyportal_hostkit.frames import BadFrames
from anyportal_hostkit.paths import file_of, has_counter
from anyportal_hostkit.request import BadWish, arguments_of
from anyportal_hostkit.run import Cancelled, CommandFailed, Run, ask
from anyportal_hostkit.version import VERSION
from anyportal_hostkit.versions import free_version_folder, next_version_folder
from anyportal_hostkit.work import Fetch, Work

__all__ = [
    "VERSION",
    "BadFrames",
    "BadWish",
    "Cancelled",
    "CommandFailed",
    "CommandNotFound",
    "Fetch",
    "Run",
    "Work",
    "arguments_of",
    "ask",
    "clean_environment",
    "colours",
    "daemons",
    "doctor",
    "file_of",
    "find_command",
    "frames",
    "free_version_folder",
    "has_counter",
    "next_version_folder",
    "paths",
    "record",
    "report",
]
