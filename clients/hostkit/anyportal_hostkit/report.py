"""One short text for a person, of anything that went wrong: what, where, and what to do."""

from anyportal_hostkit.command import CommandNotFound
from anyportal_hostkit.frames import BadFrames
from anyportal_hostkit.request import BadWish
from anyportal_hostkit.run import Cancelled, CommandFailed

_SAID = (CommandNotFound, BadFrames, BadWish)


def text_of(error):
    """What to show of an exception, in plain letters that every console has.

    Args:
        error: any exception; of those that are no part of the kit the kind is told as well.
    """
    if isinstance(error, CommandFailed):
        return _lines(error.message, error.where, error.hint, error.job)
    if isinstance(error, Cancelled):
        return "Cancelled."
    if isinstance(error, OSError):
        return _lines(
            "The disk refuses: {}".format(error.strerror or error),
            str(error.filename or ""),
            "Look at the folder's rights and the free space, or choose another folder.",
        )
    if isinstance(error, _SAID):
        return _sentence(str(error))
    return "{}: {}".format(type(error).__name__, error)


def _lines(message, where="", hint="", job=""):
    lines = [_sentence(message)]
    if where:
        lines.append("Where: {}".format(where))
    if hint:
        lines.append("What to do: {}".format(hint))
    if job:
        lines.append("Job: {}".format(job))
    return "\n".join(lines)


def _sentence(text):
    """Begun with a capital and closed, as hosts write theirs."""
    text = text.strip() or "It did not work, and nothing says why"
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?:" else ".")
