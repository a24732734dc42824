"""Progress bars on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from anyportal_client.cli.output import WORTH_SHOWING, sentence, show_results, size
from anyportal_client.cli.saying import plain
from anyportal_client.events import DaemonAway, Done, Event, FileFetched, LogLine, Progressed, Uploading

_PHASES = {"reading": "reading footage", "sending": "sending footage"}


class Bars:
    """One bar for the footage on its way, one for the job."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
        )
        self._bars: dict[str, TaskID] = {}
        self._files = 0

    def __call__(self, event: Event) -> None:
        self._progress.start()
        if isinstance(event, Uploading):
            if event.total_bytes >= WORTH_SHOWING:
                share = event.done_bytes / event.total_bytes
                self._show(event.phase, _PHASES[event.phase], share, size(event.total_bytes))
        elif isinstance(event, Progressed):
            self._show("job", plain(event.stage) or "job", event.fraction)
        elif isinstance(event, FileFetched):
            self._files += 1
            self._note(f"{self._files} file{'s' * (self._files > 1)} fetched")
        elif isinstance(event, Done):
            self.close()
            show_results(event)
        elif text := sentence(event):
            warning = isinstance(event, DaemonAway) or (isinstance(event, LogLine) and event.severity == "warning")
            self._console.print(escape(plain(text)), style="yellow" if warning else "dim", highlight=False)

    def _show(self, bar: str, text: str, share: float, note: str = "") -> None:
        if bar not in self._bars:
            self._bars[bar] = self._progress.add_task(text, total=1.0, note=note)
        self._progress.update(self._bars[bar], description=text, completed=share)

    def _note(self, text: str) -> None:
        if "job" in self._bars:
            self._progress.update(self._bars["job"], note=text)

    def close(self) -> None:
        self._progress.stop()
