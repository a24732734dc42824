"""Give the clip under the playhead a new background, and add the result to it as a take.

Python 3.7, standard library and Resolve's own objects alone: the work is done by the command `anyportal`
(anyportal_hostkit). What Resolve answers is checked wherever it is known to answer wrongly.
"""

import os
import re

import anyportal_hostkit as hostkit

_COLOUR = ("Input Color Space", "IDT")
_SEQUENCE = re.compile(r"\[(\d+)-(\d+)\]")


class Refused(Exception):
    """The clip cannot be processed; the text says why and what to do."""


class Source(object):
    """Which frames of its media a timeline item shows.

    Args:
        path: the media, a sequence as a printf pattern.
        start: the number of the media's first frame: 0 for a movie.
        first: first frame shown, counted from the media's first.
        count: number of frames shown.
        total: number of frames the media have.
    """

    def __init__(self, item):
        media = item.GetMediaPoolItem()
        if media is None:
            raise Refused("This is a title, a generator or a transition: it has no media.")
        path = media.GetClipProperty("File Path")
        if not path:
            raise Refused("This is a compound, multicam or Fusion clip: render it in place first.")
        self.media = media
        self.path, self.start = _as_pattern(path)
        self.total = int(media.GetClipProperty("Frames") or 0)
        self.first, self.count = _shown(item)
        if self.total and self.first + self.count > self.total:
            raise Refused("Resolve says the clip shows more than its media have: render it in place first.")

    def span(self, handles):
        """First and last frame to process, counted from the media's first, handles included."""
        last = self.first + self.count - 1 + handles
        return max(0, self.first - handles), min(last, self.total - 1) if self.total else last

    def frames(self, handles):
        """The span in the media's own numbers, as `anyportal` takes it."""
        return "{}-{}".format(*(self.start + frame for frame in self.span(handles)))


def main(resolve=None, app=None):
    """The menu entry."""
    try:
        resolve = resolve or connect(app)
        backdrop = _ask_backdrop()
        if backdrop:
            process(resolve, backdrop, handles=12, on_event=_print)
            print("AnyPortal: done, the result is a take of the clip")
    except (Refused, hostkit.CommandFailed, hostkit.CommandNotFound) as error:
        print("AnyPortal: {}".format(error))


def connect(app=None):
    """Resolve, from inside by what a menu script is given, from outside by its scripting library.

    Raises:
        Refused: it is not there, or scripting is not allowed.
    """
    resolve = None
    if app is not None and "GetResolve" in dir(app):
        resolve = app.GetResolve()
    if resolve is None:
        try:
            import DaVinciResolveScript

            resolve = DaVinciResolveScript.scriptapp("Resolve")
        except ImportError:
            pass
    if resolve is None:
        raise Refused(
            "Resolve does not answer. Scripts from outside need Resolve Studio and the preference System > General > "
            "External scripting using: Local. From 21.1 on every Python script needs Studio."
        )
    return resolve


def process(resolve, backdrop, matte="", folder="", handles=0, on_event=None, more=()):
    """Process the clip under the playhead and wait.

    Args:
        folder: where results go; a folder AnyPortal in the user's home where it is empty.
        handles: frames beyond the clip's ends, for later trims.

    Returns:
        The media pool item of the result.

    Raises:
        Refused: the clip cannot be processed, or Resolve did not take the result.
        hostkit.CommandFailed: why it did not work.
    """
    project = _project(resolve)
    timeline = project.GetCurrentTimeline()
    item = timeline.GetCurrentVideoItem() if timeline else None
    if item is None:
        raise Refused("Put the playhead on a video clip of the timeline first.")
    source = Source(item)
    folder = folder or os.path.join(os.path.expanduser("~"), "AnyPortal", _file_name(timeline.GetName()))
    clip_name = _file_name(item.GetName())
    folder, version = hostkit.next_version_folder(os.path.join(folder, clip_name))
    name = "{}_{}".format(clip_name, version)
    frames = source.frames(handles)
    run = hostkit.submit(source.path, backdrop, folder, frames, matte, name, more)
    done = run.follow(on_event)
    media = _import(project, done["files"]["comp"], source, handles)
    _copy_colour(source.media, media)
    _add_take(item, media, source, handles)
    return media


def _project(resolve):
    """The open project; refuses where Resolve answers without being alive."""
    manager = resolve.GetProjectManager()
    # Other calls may answer while it is wedged; this one does not.
    if manager is None or manager.GetCurrentDatabase() is None:
        raise Refused("Resolve does not answer: restart it.")
    project = manager.GetCurrentProject()
    if project is None:
        raise Refused("Open a project first.")
    return project


def _shown(item):
    """First source frame, counted from the media's first, and number of source frames that an item shows.

    Resolve's end frame is one too high on some items; 0 and 0 mean that it does not know; start after end means that
    the clip runs backwards: the frames are the same.
    """
    duration = int(item.GetDuration())
    if "GetSourceStartFrame" not in dir(item):  # before Resolve 19; hasattr is always true
        return int(item.GetLeftOffset()), duration
    start, end = int(item.GetSourceStartFrame()), int(item.GetSourceEndFrame())
    if start == 0 and end == 0 and duration > 1:
        return int(item.GetLeftOffset()), duration  # exact at normal speed, and nothing says another
    first, span = min(start, end), abs(end - start)
    if abs(span - duration) <= 1:
        return first, duration
    return first, span


def _import(project, path, source, handles):
    """The result in a bin of its own; the current bin is put back, since an import goes to whichever is current."""
    pool = project.GetMediaPool()
    before = pool.GetCurrentFolder()
    root = pool.GetRootFolder()
    bins = [folder for folder in root.GetSubFolderList() if folder.GetName() == "AnyPortal"]
    target = bins[0] if bins else pool.AddSubFolder(root, "AnyPortal")
    try:
        pool.SetCurrentFolder(target)
        if hostkit.has_counter(path):
            first, last = (source.start + frame for frame in source.span(handles))
            made = pool.ImportMedia([{"FilePath": path, "StartIndex": first, "EndIndex": last}])
        else:
            made = pool.ImportMedia([path])
    finally:
        pool.SetCurrentFolder(before)
    if not made:
        raise Refused("Resolve would not import the result, which is there: {}".format(path))
    return made[0]


def _add_take(item, media, source, handles):
    """The result as the selected take, showing the same frames; `FinalizeTake` would destroy the others: never."""
    head, duration = source.first - source.span(handles)[0], item.GetDuration()
    if not item.AddTake(media, head, head + source.count - 1):
        raise Refused("Resolve would not add the take; the result is in the bin AnyPortal.")
    number = int(item.GetTakesCount())
    item.SelectTakeByIndex(number)
    if int(item.GetSelectedTakeIndex()) != number:
        raise Refused("The take was added but not selected: choose it in the clip's take selector.")
    if item.GetDuration() != duration:
        raise Refused("Resolve changed the clip's length with the take: undo, and place the result from the bin.")


def _copy_colour(plate, result):
    """The result is encoded as the plate is; what Resolve says it has set is read back."""
    for name in _COLOUR:
        value = plate.GetClipProperty(name)
        if value:
            result.SetClipProperty(name, value)
            if result.GetClipProperty(name) != value:
                print("AnyPortal: set '{}' of the result to '{}' by hand".format(name, value))


def _as_pattern(path):
    """A path as Resolve writes it, `plate.[1001-1100].exr`, as a printf pattern with the number of its first frame."""
    found = _SEQUENCE.search(os.path.basename(path))
    if not found:
        return path, 0
    digits = found.group(1)
    name = _SEQUENCE.sub("%0{}d".format(len(digits)), os.path.basename(path))
    return os.path.join(os.path.dirname(path), name), int(digits)


def _file_name(name):
    return re.sub(r"[^\w.-]+", "_", os.path.splitext(name)[0]).strip("._") or "clip"


def _ask_backdrop():
    try:
        from tkinter import Tk, filedialog
    except ImportError:
        raise Refused("This Python has no Tk to ask with: call anyportal_resolve.process from a console.") from None
    window = Tk()
    window.withdraw()
    try:
        return filedialog.askopenfilename(title="AnyPortal: a picture or a clip as the new background")
    finally:
        window.destroy()


def _print(event):
    if event["event"] == "progress" and event["stage_fraction"] in (0, 1):
        print("AnyPortal: {} {:.0%}".format(event["stage"], event["fraction"]))
