"""Cuts the cable between a desk and a GPU box for half a minute, amid the upload and amid the download.

    python -m benchmarks.network [--seconds 30] [--out FILE]

Desk and boxes are network namespaces (Linux, root). Measured: after how many seconds the cut was noticed, how long a
shot took over it, how many bytes went over the wire, and whether the files are those of a shot that nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyportal_client.line import TELL_AFTER
from tests.integration.network_cuts import DESK, ONE, TWO, Outcome, Shot, fetching, sending, studio, write_noise
from tests.integration.network_house import Line
from tests.integration.network_lan import RATE, Lan, lan

RESULTS = Path(__file__).parent / "results"


class Cut:
    """A cable that is pulled at a line, and put in again by itself."""

    def __init__(self, network: Lan, seconds: float, when: Callable[[Line], bool]) -> None:
        self._network, self._seconds = network, seconds
        self.at = 0.0
        self.trouble = (when, self._pull)

    def _pull(self) -> None:
        self._network.cut(ONE)
        self.at = time.monotonic()
        threading.Timer(self._seconds, self._network.mend, [ONE]).start()

    def noticed(self, outcome: Outcome) -> float | None:
        """Seconds until the client knew; None where it never had to."""
        times = [at for line, at in zip(outcome.events, outcome.times, strict=True) if line["event"] == "away"]
        after = [at - TELL_AFTER - self.at for at in times if at > self.at]
        return round(after[0], 1) if after else None


def main() -> int:
    options = _options()
    with lan(ONE, TWO, DESK) as network, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        footage = write_noise(folder / "media")
        with studio(network, folder) as (one, two, desk):
            desk.login(one)
            desk.login(two)
            quiet = Shot(desk, two, network, folder / "media", folder / "quiet").run([])
            cuts = [Cut(network, options.seconds, when) for when in (sending, fetching)]
            disturbed = Shot(desk, one, network, folder / "media", folder / "cut").run([cut.trouble for cut in cuts])
    found: dict[str, Any] = {
        "rate": RATE,
        "cut_seconds": options.seconds,
        "footage_bytes": footage,
        "noticed_seconds": [cut.noticed(disturbed) for cut in cuts],
        "seconds": {"undisturbed": round(quiet.seconds, 1), "disturbed": round(disturbed.seconds, 1)},
        "sent_bytes": {"undisturbed": quiet.sent, "disturbed": disturbed.sent},
        "received_bytes": {"undisturbed": quiet.received, "disturbed": disturbed.received},
        "same_files": disturbed.files == quiet.files,
    }
    print(json.dumps(found, indent=1))
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if found["same_files"] else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="for which the cable is out")
    parser.add_argument("--out", type=Path, default=RESULTS / "network.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
