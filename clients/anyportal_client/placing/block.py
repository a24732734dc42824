"""One marked block in a file that belongs to the user: added at the end, replaced, and taken out without a trace."""

from __future__ import annotations

import re

from anyportal_client.errors import UsageError

_BEGIN, _END = b"# >>> anyportal >>>", b"# <<< anyportal <<<"
_MADE = b"# This file was made for this block."
_BLOCK = re.compile(
    rb"(?P<before>^|\r?\n)"
    + re.escape(_BEGIN)
    + rb"[^\n]*\n(?P<body>.*?)"
    + re.escape(_END)
    + rb"[ \t]*(?P<after>\r?\n|$)",
    re.DOTALL,
)


def body(content: bytes) -> str | None:
    """What the block says; None where there is none.

    Raises:
        UsageError: the marks are not in order.
    """
    found = _found(content)
    return found["body"].decode("utf-8", "replace") if found else None


def with_block(content: bytes | None, lines: list[str]) -> bytes:
    """The file with the block, which takes the place of an older one. `content` is None where there is no file.

    Raises:
        UsageError: the marks are not in order, or it is no text.
    """
    made = content is None
    old = content or b""
    if b"\0" in old:
        raise UsageError("it is no plain text, and left alone", hint="add the line by hand: see docs/hosts.md")
    found = _found(old)
    if found and _MADE in found["body"]:
        made = True
    end = b"\r\n" if b"\r\n" in old else b"\n"
    said = b' written by "anyportal hosts install"; "anyportal hosts uninstall" takes it out'
    block = end.join([_BEGIN + said, *([_MADE] if made else []), *(line.encode("ascii") for line in lines), _END])
    if found:
        return old[: found.start()] + found["before"] + block + found["after"] + old[found.end() :]
    # No line's end after it where the file had none: taken out, nothing is left but what was there.
    return old + block + end if not old or old.endswith(b"\n") else old + end + block


def without_block(content: bytes) -> bytes | None:
    """The file as it was without the block; None where it was made for it and nothing else is in it.

    Raises:
        UsageError: the marks are not in order.
    """
    found = _found(content)
    if not found:
        return content
    before = found["before"] if found["after"] else b""
    rest = content[: found.start()] + before + content[found.end() :]
    return None if _MADE in found["body"] and not rest.strip() else rest


def _found(content: bytes) -> re.Match[bytes] | None:
    marks = content.count(_BEGIN), content.count(_END)
    found = _BLOCK.search(content)
    if marks not in ((0, 0), (1, 1)) or (marks == (1, 1) and not found):
        raise UsageError(
            "the marks of anyportal's block are not in order, so it is left alone",
            hint="delete what is left of the block by hand, then call this again",
        )
    return found
