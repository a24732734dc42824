"""Give the selected Read a new background, and bring the result back as a Read at the plate's frame numbers.

Python 3.7, standard library and `nuke` alone: the work is done by the command `anyportal` (anyportal_hostkit).
Without a window (`nuke -t`) call `process` with a Read and a backdrop; it returns the new Read.
"""

import functools
import os
import re
import threading

import anyportal_hostkit as hostkit

import nuke

_MOVIES = (".mov", ".mp4", ".m4v", ".mkv", ".avi", ".mxf", ".webm", ".mpg", ".mpeg", ".r3d")
_SHIFT_KNOBS = ("frame_mode", "frame")
_COLOUR_KNOBS = ("colorspace", "raw", "premultiplied")


class Refused(Exception):
    """The node cannot be processed; the text says why and what to do."""


class Plate(object):
    """What a Read says about its footage.

    Args:
        node: the Read.
    """

    def __init__(self, node):
        if node.Class() != "Read":
            raise Refused("Select a Read. For anything else render it first and read the result.")
        if node.hasError():
            raise Refused("{} has an error: mend it first.".format(node.name()))
        self.node = node
        self.path = nuke.filename(node) or ""
        if not self.path:
            raise Refused("{} names no file.".format(node.name()))
        self.first, self.last = int(node["first"].value()), int(node["last"].value())
        self.movie = os.path.splitext(self.path)[1].lower() in _MOVIES
        self.still = not self.movie and not hostkit.has_counter(self.path)

    def frames(self):
        """The Read's range as `anyportal` counts: Nuke numbers movies from 1, AnyPortal from 0.

        Empty for a still: Nuke shows it at whichever frames the Read names.
        """
        if self.still:
            return ""
        shift = 1 if self.movie else 0
        return "{}-{}".format(self.first - shift, self.last - shift)

    def shift(self):
        """Values of the knobs that place the result in time where the plate is.

        A sequence keeps the plate's numbers, so the plate's own shift fits. A movie starts anew at 1: it is put
        where the plate's first frame shows.
        """
        mode, frame = (str(self.node[name].value()) for name in _SHIFT_KNOBS)
        if not self.movie:
            return {"frame_mode": mode, "frame": frame}
        if not frame:
            return {"frame_mode": "start at", "frame": str(self.first)}
        if mode == "start at":
            return {"frame_mode": mode, "frame": frame}
        raise Refused("{}: set its frame knob to 'start at', which movies can keep.".format(self.node.name()))


def replace_background():
    """The menu entry: ask, then work in the background with a progress bar."""
    try:
        plate = Plate(_selected())
        plate.shift()
        hostkit.find_command()
    except (Refused, hostkit.CommandNotFound) as error:
        nuke.message(str(error))
        return
    panel = nuke.Panel("AnyPortal: replace background")
    panel.addFilenameSearch("Backdrop", "")  # a picture or a clip; #rrggbb or a text can be typed
    panel.addFilenameSearch("Matte (optional)", "")
    panel.addFilenameSearch("Results in", _results_folder())
    if not panel.show() or not panel.value("Backdrop"):
        return
    backdrop, matte, folder = (panel.value(name) for name in ("Backdrop", "Matte (optional)", "Results in"))
    worker = threading.Thread(target=_in_background, args=(plate, backdrop, matte, folder), daemon=True)
    worker.start()


def process(node, backdrop, matte="", folder="", more=()):
    """Process a Read and wait; for `nuke -t` and scripts. Call it from the main thread.

    Raises:
        Refused: the node cannot be processed.
        hostkit.CommandFailed: why it did not work.
    """
    plate = Plate(node)
    run, version = _start(plate, backdrop, matte, folder or _results_folder(), more)
    return _make_read(plate, run.follow(), version)


def _in_background(plate, backdrop, matte, folder):
    """The worker thread: nodes are touched by the main thread alone."""
    try:
        run, version = _start(plate, backdrop, matte, folder)
        done = _follow(run)
    except hostkit.Cancelled:
        return
    except Exception as error:
        # No panel: a modal panel through executeInMainThread freezes Nuke. This goes to the error console.
        nuke.executeInMainThread(nuke.error, args=("AnyPortal: {}".format(error),))
        return
    nuke.executeInMainThread(_place, args=(plate, done, version))


def _follow(run):
    """Wait behind a progress bar, which this thread holds; it goes when the last reference does."""
    task = nuke.ProgressTask("AnyPortal")
    try:
        return run.follow(functools.partial(_show, task), task.isCancelled)
    finally:
        del task


def _start(plate, backdrop, matte, folder, more=()):
    folder, version = hostkit.next_version_folder(os.path.join(folder, plate.node.name()))
    name = "{}_{}".format(plate.node.name(), version)
    run = hostkit.submit(plate.path, backdrop, folder, plate.frames(), matte, name, more)
    return run, version


def _show(task, event):
    if event["event"] == "upload":
        task.setMessage("sending footage")
        task.setProgress(int(100.0 * event["done_bytes"] / max(1, event["total_bytes"])))
    elif event["event"] == "progress":
        task.setMessage(event["stage"])
        task.setProgress(int(100 * event["fraction"]))


def _place(plate, done, version):
    """In the main thread, which swallows what is raised here."""
    try:
        _make_read(plate, done, version)
    except Exception as error:
        nuke.error("AnyPortal: the result is there ({}) but could not be read: {}".format(done["files"], error))


def _make_read(plate, done, version):
    """The result as a Read beside the plate, in one undo step."""
    path = done["files"]["comp"].replace("\\", "/")
    first, last = plate.first, plate.last
    if plate.still:
        path = hostkit.file_of(path, int(re.match(r"-?\d+", done["frames"]).group()))  # shown where the plate is
    elif not hostkit.has_counter(path):
        first, last = 1, plate.last - plate.first + 1
    undo = nuke.Undo()
    undo.begin("AnyPortal")
    try:
        read = nuke.nodes.Read()
        read["file"].fromUserText("{} {}-{}".format(path, first, last))
        for name, value in (("first", first), ("last", last), ("origfirst", first), ("origlast", last)):
            read[name].setValue(value)
        for name, value in plate.shift().items():
            read[name].setValue(value)
        read["on_error"].setValue("checkerboard")
        _copy_colour(plate.node, read)
        read["label"].setValue("AnyPortal {}\n{}".format(version, done["job"]))
        read.setXYpos(plate.node.xpos() + 110, plate.node.ypos())
    finally:
        undo.end()
    return read


def _copy_colour(plate, read):
    """The result is encoded as the plate is. An entry of the list may carry aliases, joined by tabs or commas."""
    for name in _COLOUR_KNOBS:
        if plate.knob(name) and read.knob(name):
            value = plate[name].value()
            read[name].setValue(re.split(r"[\t,]", value)[0] if isinstance(value, str) else value)


def _selected():
    try:
        return nuke.selectedNode()
    except ValueError:  # it raises where nothing is selected
        raise Refused("Select a Read first.") from None


def _results_folder():
    script = nuke.root().name()
    base = os.path.dirname(script) if os.path.isfile(script) else os.path.expanduser("~")
    return os.path.join(base, "anyportal").replace("\\", "/")
