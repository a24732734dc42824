"""A wish, as a plain dict, and the command line that says it: the one way in which hosts ask for a shot."""

import json
import os

from anyportal_hostkit import frames

_OPTIONS = (
    ("backdrop", "--backdrop"),
    ("range", "--range"),
    ("matte", "--matte"),
    ("mask", "--mask"),
    ("mask_frame", "--mask-frame"),
    ("clean_plate", "--clean-plate"),
    ("garbage", "--garbage"),
    ("holdout", "--holdout"),
    ("preset", "--preset"),
    ("recipe", "--recipe"),
    ("subject", "--subject"),
    ("seed", "--seed"),
    ("handles", "--handles"),
    ("layers", "--layers"),
    ("format", "--format"),
    ("rate", "--rate"),
    ("colour_space", "--colour-space"),
    ("backdrop_colour_space", "--backdrop-colour-space"),
    ("out_colour_space", "--out-colour-space"),
    ("colour_config", "--colour-config"),
    ("compression", "--compression"),
    ("within", "--within"),
    ("missing", "--missing"),
    ("name", "--name"),
    ("priority", "--priority"),
    ("daemon", "--daemon"),
)
KEYS = ("plate", "settings", "maps", *(key for key, _ in _OPTIONS))
"""What a wish may say. Keys whose value is None or an empty text are as good as absent."""


class BadWish(ValueError):
    """A wish that cannot be put into words; the text says why."""


def arguments_of(wish, out):
    """The command line, after `anyportal`, that submits a wish and brings its results into a folder.

    Args:
        wish: `plate` and `backdrop`, and any other of KEYS. `range` is a text or a list of frame numbers, `layers` a
            text or a list, `settings` a dict of numbers, texts, truths and tables, `maps` a dict of names to folders.

    Raises:
        BadWish: an unknown key, no plate, or a setting of another kind.
    """
    unknown = sorted(set(wish) - set(KEYS))
    if unknown:
        raise BadWish("unknown in a wish: {}; known are {}".format(", ".join(unknown), ", ".join(sorted(KEYS))))
    if _absent(wish.get("plate")):
        raise BadWish("there is no plate")
    # Said outright: a host that cancels, or dies, before the command listens must be heard as well.
    arguments = ["submit", _not_an_option(os.fspath(wish["plate"])), "--stdin-cancel"]
    # Each in one word: a range, a path or a text may begin with a dash.
    arguments += _options([(option, wish.get(key)) for key, option in _OPTIONS] + [("--out", out)])
    for name, value in sorted((wish.get("settings") or {}).items()):
        arguments.append("--set={}={}".format(name, _setting(name, value)))
    for name, folder in sorted((wish.get("maps") or {}).items()):
        arguments.append("--map={}={}".format(name, os.fspath(folder)))
    return arguments


def plain(wish):
    """A wish as JSON can keep it: paths as texts, nothing that is absent."""
    return {key: _plain(value) for key, value in wish.items() if not _absent(value)}


def _options(pairs):
    return ["{}={}".format(option, _word(option, value)) for option, value in pairs if not _absent(value)]


def _word(option, value):
    if option in ("--range", "--within") and not isinstance(value, str):
        return frames.text_of(value)
    if option == "--layers" and not isinstance(value, str):
        return ",".join(value)
    return _plain(value)


def _plain(value):
    return os.fspath(value) if hasattr(value, "__fspath__") else value


def _absent(value):
    return value is None or (isinstance(value, (str, list, tuple, dict)) and not value)


def _not_an_option(path):
    return os.path.join(os.curdir, path) if path.startswith("-") else path


def _setting(name, value):
    """As JSON, so that the text "0.5" stays a text and the number 0.5 a number."""
    if not isinstance(value, (bool, int, float, str, dict)):
        raise BadWish("the setting {} is no number, text, truth or table: {!r}".format(name, value))
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadWish("the setting {} cannot be said: {}".format(name, error)) from None
