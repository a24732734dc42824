"""What is missing for a host's script to work, and how to mend it."""

from anyportal_hostkit import report
from anyportal_hostkit.command import CommandNotFound, find_command
from anyportal_hostkit.daemons import option
from anyportal_hostkit.handshake import command_version, misfit
from anyportal_hostkit.run import CommandFailed, ask
from anyportal_hostkit.version import VERSION

OK, WARNING, BROKEN = "ok", "warning", "broken"
_SIGNS = {OK: "ok", WARNING: "warning", BROKEN: "BROKEN"}


def checks(host_checks=(), command=None, daemon=""):
    """Everything looked at, as (name, status, message, hint); `status` is ok, warning or broken.

    Args:
        host_checks: what the host has looked at itself, in the same form; they come first.
        command: the command as a list, instead of the one that is found.
        daemon: its address, instead of the one that the command finds.
    """
    found = [tuple(check) for check in host_checks]
    try:
        command = list(command or find_command())
    except CommandNotFound as error:
        return [*found, ("command", BROKEN, "there is no command 'anyportal'", str(error))]
    found.append(("command", OK, " ".join(command), ""))
    version = command_version(command)
    if not version:
        hint = "Try it in a terminal: anyportal --version. If it does not start, install it again."
        return [*found, ("version", BROKEN, "the command does not say its version", hint)]
    found.append(_version(version))
    try:
        events = ask(["doctor", *option(daemon)], command, any_code=True)
    except (CommandFailed, CommandNotFound) as error:
        return [*found, ("doctor", BROKEN, report.text_of(error), "Try it in a terminal: anyportal doctor")]
    for event in events:
        if event["event"] == "check":
            found.append((event["name"], event["status"], event["message"], event.get("hint", "")))
    return found


def worst(found):
    """The worst status of all."""
    order = (OK, WARNING, BROKEN)
    return max((check[1] for check in found), key=order.index) if found else OK


def text_of(found):
    """The checks as lines for a person."""
    lines = []
    for name, status, message, hint in found:
        lines.append("{}  {}: {}".format(_SIGNS[status], name, message))
        if hint:
            lines.append("    what to do: {}".format(hint))
    return "\n".join(lines)


def _version(version):
    said = misfit(version)
    if said:
        return "version", WARNING, "the command is {}, these scripts are {}".format(version, VERSION), said
    return "version", OK, version, ""
