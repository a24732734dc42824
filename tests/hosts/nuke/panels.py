"""What opens windows: panels, messages, progress bars."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.hosts.nuke.module import FakeNuke


class Panel:
    """A modal panel. The test has said in `nuke.answers` what a person fills in; what is not named stays as it is."""

    def __init__(self, nuke: FakeNuke, title: str) -> None:
        self.nuke, self.title = nuke, title
        self.fields: dict[str, str] = {}
        self.items: dict[str, list[str]] = {}

    def setWidth(self, width: int) -> None:
        assert width > 0

    def addFilenameSearch(self, name: str, value: str) -> None:
        self.fields[name] = value

    addSingleLineInput = addFilenameSearch

    def addEnumerationPulldown(self, name: str, items: str) -> None:
        self.items[name] = shlex.split(items)
        self.fields[name] = self.items[name][0]

    def show(self) -> bool:
        self.nuke.modal("a panel")
        self.nuke.panels.append(self)
        answers = self.nuke.answers.pop(0)
        if answers is None:
            return False
        for name, value in answers.items():
            assert name in self.fields, f"{self.title}: there is no field {name}: {sorted(self.fields)}"
            assert name not in self.items or value in self.items[name], f"{value} is none of {self.items[name]}"
            self.fields[name] = value
        return True

    def value(self, name: str) -> str:
        return self.fields[name]


class ProgressTask:
    """hosts.md: "`nuke.ProgressTask`: hold it in the worker thread, poll `isCancelled()`, end with `del task`"."""

    def __init__(self, nuke: FakeNuke, title: str) -> None:
        nuke.trap_if(nuke.is_main(), "a ProgressTask in the main thread is never drawn: hold it in the worker thread")
        self.nuke, self.title, self.steps, self.messages = nuke, title, 0, [""]
        nuke.live_tasks.append(id(self))
        nuke.bars.append(self.messages)

    def __del__(self) -> None:
        self.nuke.live_tasks.remove(id(self))

    def setMessage(self, text: str) -> None:
        self.messages.append(text)
        self.steps += 1

    def setProgress(self, percent: int) -> None:
        assert isinstance(percent, int) and 0 <= percent <= 100

    def isCancelled(self) -> bool:
        return self.nuke.cancel_at is not None and self.nuke.cancel_at(self)


class Menu:
    """A menu: what was added to it, by its path."""

    def __init__(self, entries: dict[str, Any], path: str) -> None:
        self.entries, self.path = entries, path

    def addMenu(self, name: str) -> Menu:
        return Menu(self.entries, f"{self.path}/{name}")

    def addCommand(self, name: str, command: Any) -> None:
        self.entries[f"{self.path}/{name}"] = command

    def addSeparator(self) -> None:
        pass
