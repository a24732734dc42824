"""Files and lines of text: the configuration, daemon.json, the lines that commands and hosts say to each other."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

from hypothesis import strategies as st

from anyportal_client.cli.wishes import _says_cancel
from anyportal_client.discovery import read_daemon_file
from anyportal_client.errors import ClientError
from anyportal_client.window.command import _follow
from anyportal_client.window.state import State
from anyportal_core.errors import AnyPortalError
from anyportal_daemon.config import load
from anyportal_daemon.config_page import page, written
from fuzz.strategies import edited, edits, texts
from fuzz.target import Target

sys.path.append(str(Path(__file__).parents[1] / "clients" / "hostkit"))
from anyportal_hostkit.run import Run


def _config_texts() -> st.SearchStrategy[bytes]:
    good = written(load(None)).encode()
    keys = sorted({word.strip("`") for word in page().split() if word.startswith("`") and word.endswith("`")})
    value = st.sampled_from(
        ("1", "-1", "0", "1e400", "nan", "true", '"x"', "[]", "{}", "[[", "1979-05-27", '"200 GiB"')
    )
    lines = st.lists(st.builds("{} = {}".format, st.sampled_from(keys) | texts(), value))
    heads = st.sampled_from(("", "[jobs]", "[worker]", "[tls]", "[limits]", "[mappings]", "[[jobs]]", "[jobs.queued]"))
    made = st.builds(lambda head, rest: "\n".join([head, *rest]).encode(), heads, lines)
    return st.builds(edited, st.just(good) | made, st.just([]) | edits()) | st.binary(max_size=200)


@contextmanager
def configured(folder: Path) -> Iterator[Callable[[bytes], None]]:
    file = folder / "daemon.toml"

    def check(data: bytes) -> None:
        file.write_bytes(data)
        try:
            config = load(file)
        except AnyPortalError as error:
            assert str(file) in error.where, error
            return
        file.write_text(written(config), "utf-8")
        assert load(file) == config

    yield check


_KEYS = texts() | st.sampled_from(
    ["schema", "event", "state", "clip", "clips", "id", "change", "close", "cancel", "address", "token", "pid", "lan"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_LINES = st.builds(lambda value: json.dumps(value).encode(), _JSON)
_DEEP = st.builds(lambda word, count: word * count, st.sampled_from([b"[", b'{"event":']), st.integers(1000, 100_000))


@contextmanager
def told(folder: Path) -> Iterator[Callable[[bytes], None]]:
    def check(line: bytes) -> None:
        _says_cancel(line)
        host = SimpleNamespace(_misfit=None, cancel=lambda: None)
        event = Run._parse(host, line)
        assert event is None or isinstance(event, dict)
        (folder / "daemon.json").write_bytes(line)
        with suppress(ClientError):
            read_daemon_file(folder)
        with suppress(ValueError, RecursionError):
            said = json.loads(line)
            if isinstance(said, dict):
                _follow(State(), said)

    yield check


TARGETS = (
    Target("config", _config_texts(), configured),
    Target("lines", st.builds(edited, _LINES, st.just([]) | edits(3)) | _DEEP | st.binary(max_size=100), told),
)
