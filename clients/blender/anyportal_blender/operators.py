"""What the buttons do, and scripts: `bpy.ops.anyportal.replace()`. Called without a window they wait for the end."""

# No `from __future__ import annotations`: Blender reads properties from annotations that are values.
import os
from collections.abc import Callable
from typing import Any

import bpy
from anyportal_hostkit import doctor, run
from anyportal_hostkit import record as records

from . import call as calls
from . import compat, offers, preferences, results, running, settings
from .call import Call
from .kit import hostkit
from .shot import Shot, again, lost_shots, shot_of

Answer = set[Any]


class _Operator(bpy.types.Operator):
    """What all of them have in common."""

    bl_options = set()  # noqa: RUF012  (as Blender wants it; REGISTER would offer to do it all over again)

    def told(self, work: Callable[[], object]) -> Answer:
        """Do something, errors as reports: those of an operator are shown by Blender, and raised in scripts."""
        try:
            work()
        except Exception as error:
            if not calls.is_expected(error):
                raise
            self.report({"ERROR"}, calls.text_of(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def strip(self, context: bpy.types.Context) -> Any:
        """The active strip."""
        return active_strip(context)


def active_strip(context: bpy.types.Context) -> Any | None:
    """The strip that is meant: the active one of the sequencer's scene."""
    scene = compat.scene_of(context)
    editor = scene.sequence_editor if scene else None
    return editor.active_strip if editor else None


class _ForStrip(_Operator):
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whether there is a strip to work on."""
        return active_strip(context) is not None


class _ForResult(_Operator):
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whether the active strip shows a result."""
        return results.is_result(active_strip(context))


class _Starting(_Operator):
    """Those that start a call: with a window it goes on beside the user's work, without one they wait."""

    def shot(self, context: bpy.types.Context) -> Shot:
        """What to do."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Answer:
        """From a button."""
        return self.told(lambda: running.start(self._call(context)))

    def execute(self, context: bpy.types.Context) -> Answer:
        """From a script."""
        return self.told(lambda: self._call(context).run())

    def _call(self, context: bpy.types.Context) -> Call:
        call = Call(self.shot(context))
        for note in call.notes:
            self.report({"INFO"}, note)
        return call


class Replace(_Starting, _ForStrip):
    """Replace the background of the active strip; the result is a strip above it."""

    bl_idname, bl_label = "anyportal.replace", "Replace Background"

    def shot(self, context: bpy.types.Context) -> Shot:
        scene = compat.scene_of(context)
        chosen = scene.anyportal
        return shot_of(scene, self.strip(context), settings.wish_of(chosen), chosen.folder)


class Rerun(_Starting, _ForResult):
    """Do again what made this result, with the strip below as it is now; a new version shows in this strip."""

    bl_idname, bl_label = "anyportal.rerun", "Rerun"

    def shot(self, context: bpy.types.Context) -> Shot:
        return again(compat.scene_of(context), self.strip(context))


class Recover(_Operator):
    """Bring in results of this file whose jobs went on when the command died or the network was gone."""

    bl_idname, bl_label = "anyportal.recover", "Recover Lost Results"

    def _calls(self, context: bpy.types.Context) -> list[Call]:
        found = [Call(shot) for shot in lost_shots(compat.scene_of(context).anyportal.folder)]
        self.report({"INFO"}, f"AnyPortal: {len(found)} to recover" if found else "AnyPortal: nothing is lost")
        return found

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Answer:
        """From a button."""

        def start() -> None:
            for call in self._calls(context):
                running.start(call)

        return self.told(start)

    def execute(self, context: bpy.types.Context) -> Answer:
        """From a script."""
        return self.told(lambda: [call.run() for call in self._calls(context)])


class Cancel(_Operator):
    """Cancel what is on its way."""

    bl_idname, bl_label = "anyportal.cancel", "Cancel"

    number: bpy.props.IntProperty(default=-1, options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Whether there is anything to cancel."""
        return bool(running.now())

    def execute(self, _context: bpy.types.Context) -> Answer:
        """One of them, by its place in the list, or all."""
        for number, call in enumerate(running.now()):
            if self.number in (-1, number):
                call.cancel()
        return {"FINISHED"}


def _versions(_self: Any, context: bpy.types.Context) -> list[tuple[str, str, str]]:
    strip = active_strip(context)
    names = results.versions_of(strip) if results.is_result(strip) else []
    _kept[:] = [(name, name, f"Show {name}") for name in names] or [("", "none", "There are no versions")]
    return _kept


_kept: list[tuple[str, str, str]] = []  # Blender keeps no reference to the texts of a list that is made anew


class ShowVersion(_ForResult):
    """Show another version in this strip."""

    bl_idname, bl_label, bl_property = "anyportal.show_version", "Version", "version"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    version: bpy.props.EnumProperty(name="Version", items=_versions)

    def execute(self, context: bpy.types.Context) -> Answer:
        """Show it."""
        scene = compat.scene_of(context)

        def show() -> None:
            scene.sequence_editor.active_strip = results.show(scene, self.strip(context), self.version)

        return self.told(show)


class Compare(_ForResult):
    """Show the version before this one; once more: this one again. Without an earlier one, the strip below."""

    bl_idname, bl_label = "anyportal.compare", "Compare with Previous"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def execute(self, context: bpy.types.Context) -> Answer:
        """Toggle."""
        scene, strip = compat.scene_of(context), self.strip(context)
        return self.told(lambda: self.report({"INFO"}, f"AnyPortal shows {results.compare(scene, strip)}"))


class LoadWish(_ForResult):
    """Put what was asked for this version into the panel, to change it and replace again."""

    bl_idname, bl_label = "anyportal.load", "Load Settings"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def execute(self, context: bpy.types.Context) -> Answer:
        """Load."""
        chosen, strip = compat.scene_of(context).anyportal, self.strip(context)
        return self.told(lambda: settings.load(chosen, results.record_of(strip)["wish"]))


class _Asking(_Operator):
    """Those that ask the command something and show what it says: with a window without waiting for it."""

    def question(self, context: bpy.types.Context) -> Callable[[], list[str]]:
        """What to ask, in another thread; the lines to show."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Answer:
        """From a button."""
        title = self.bl_label  # the operator is gone when the answer comes

        def ask() -> None:
            running.in_thread(_safely(self.question(context)), lambda lines: show_text(title, lines))

        return self.told(ask)

    def execute(self, context: bpy.types.Context) -> Answer:
        """From a script."""
        return self.told(lambda: self.report({"INFO"}, "\n".join(self.question(context)())))


class ShowJob(_Asking, _ForResult):
    """Show which job made this version: what was asked for, its recipe's digest, and what each stage did."""

    bl_idname, bl_label = "anyportal.job", "Show Job"

    def question(self, context: bpy.types.Context) -> Callable[[], list[str]]:
        record = results.record_of(self.strip(context))
        command, daemon = preferences.command(), records.daemon_of(record)
        return lambda: [*_about(record), *_stages(record, command, daemon)]


class Doctor(_Asking):
    """Say what is missing for AnyPortal to work here, and how to mend it."""

    bl_idname, bl_label = "anyportal.doctor", "Doctor"

    def question(self, _context: bpy.types.Context) -> Callable[[], list[str]]:
        command, daemon = preferences.command(), preferences.get().daemon
        host = [("blender", doctor.OK, f"{bpy.app.version_string}, {os.path.dirname(__file__)}", "")]
        return lambda: str(doctor.text_of(doctor.checks(host, command, daemon))).splitlines()


class Presets(_Asking):
    """List the presets of the daemon, what they take as a backdrop, and which of them cannot run there."""

    bl_idname, bl_label = "anyportal.presets", "Presets"

    def question(self, _context: bpy.types.Context) -> Callable[[], list[str]]:
        command, daemon = preferences.command(), preferences.get().daemon
        return lambda: [line for event in run.ask(_named("presets", daemon), command) for line in _preset(event)]


class Find(_Operator):
    """Look again for the daemons of the network, this machine's and those that were logged in to."""

    bl_idname, bl_label = "anyportal.find", "Find Daemons"

    def execute(self, _context: bpy.types.Context) -> Answer:
        """Begin; they are in the list once they are found."""
        offers.look()
        return {"FINISHED"}


class Report(bpy.types.Operator):
    """Say something as operators do: in the status bar, and errors beside the pointer."""

    bl_idname, bl_label, bl_options = "anyportal.report", "AnyPortal", {"INTERNAL"}

    level: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    text: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Answer:
        """Wait for the next event: what an operator reports while a timer calls it is not shown."""
        manager: Any = context.window_manager
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, _context: bpy.types.Context, _event: bpy.types.Event) -> Answer:
        """Say it."""
        self.report({self.level}, self.text)
        return {"FINISHED", "PASS_THROUGH"}


def show_text(title: str, lines: list[str]) -> None:
    """Lines to read, in a window's popup; without a window on the console."""
    if bpy.app.background:
        print("\n".join([f"AnyPortal: {title}", *lines]), flush=True)
        return

    def draw(popup: Any, _context: bpy.types.Context) -> None:
        for line in lines:
            popup.layout.label(text=line)

    manager: Any = bpy.context.window_manager
    with bpy.context.temp_override(window=manager.windows[0]):
        manager.popup_menu(draw, title=f"AnyPortal: {title}")


def _safely(question: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """A question whose failure is an answer too."""

    def ask() -> list[str]:
        try:
            return question()
        except Exception as error:
            return calls.text_of(error).splitlines()

    return ask


def _about(record: dict[str, Any]) -> list[str]:
    wish = record["wish"]
    fields = [("job", record["job"]), ("recipe", record["recipe_digest"]), ("seed", record["seed"])]
    asked = ("backdrop", "preset", "subject", "matte", "settings", "range", "plate")
    fields += [(key, wish[key]) for key in asked if key in wish]
    fields += [("made", record["created"]), ("state", record["state"])]
    if record["host"].get("rendered"):
        fields.append(("rendered by Blender", record["host"]["rendered"]))
    return [f"{name}: {value}" for name, value in fields]


def _stages(record: dict[str, Any], command: list[str] | None, daemon: str) -> list[str]:
    """What each stage did, where the daemon still knows the job."""
    try:
        events = run.ask(_named("explain", daemon, record["job"]), command)
    except (hostkit.CommandFailed, hostkit.CommandNotFound) as error:
        return ["", "What its stages did is not known:", *calls.text_of(error).splitlines()]
    stages = [event for event in events if event["event"] == "stage"]
    return ["", *(f"{each['stage']}: {'reused' if each['reused'] else 'ran'}, {each['plugin']}" for each in stages)]


def _preset(event: dict[str, Any]) -> list[str]:
    if event["event"] != "preset":
        return []
    takes = f"    backdrops: {', '.join(event['backdrops'])}"
    return [f"{event['name']}: {event['summary']}", event["unavailable"] or takes]


def _named(name: str, daemon: str, *words: str) -> list[str]:
    """A command that asks a daemon."""
    return [name, *words, *hostkit.daemons.option(daemon)]


CLASSES = (Replace, Rerun, Recover, Cancel, ShowVersion, Compare, LoadWish, ShowJob, Doctor, Presets, Find, Report)
