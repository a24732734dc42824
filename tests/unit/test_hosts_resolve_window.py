"""The window's page over real HTTP: who may talk to it, what it is told, what it tells."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from anyportal_client.window import command
from anyportal_client.window.events import Wished
from anyportal_client.window.server import Server
from anyportal_client.window.state import State
from anyportal_core.testing.clips import write_movie

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "clients/anyportal_client/cli/events.schema.json").read_text("utf-8"))
GO = {
    "action": "go", "clips": ["c1"], "backdrop_kind": "colour", "backdrop": "#102030", "matte_kind": "found",
    "matte": "", "preset": "draft", "subject": "", "seed": 7, "handles": 12, "settings": "relight_strength=0.5\n",
    "format": "auto", "placement": "take",
}  # fmt: skip


class Caller:
    """A browser, or somebody who is none."""

    def __init__(self, server: Server) -> None:
        self.server, self.key = server, ""
        self.port = int(server.address.rpartition(":")[2])

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Headers by name, `_` for `-`; an empty one is left away."""
        own = {"Host": self.server.address, "X-AnyPortal-Key": self.key}
        if method == "POST":
            own |= {"Origin": f"http://{self.server.address}", "Content-Type": "application/json"}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        for name, value in own.items():
            if value:
                connection.putheader(name, value)
        if method == "POST" and "Content-Length" not in own:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        found = answer.status, dict(answer.headers.items()), answer.read()
        connection.close()
        return found

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        status, _, said = self.call("POST", path, body, **headers)
        return status, json.loads(said)

    def open(self) -> None:
        status, said = self.post("/session", {"token": self.server.session.token})
        assert status == 200
        self.key = said["key"]


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def caller(told: list[Any]) -> Iterator[Caller]:
    server = Server(State(), told.append, patience=0.2)
    server.state.replace({"clips": [{"id": "c1", "name": "a.mov"}, {"id": "c2", "refused": "a title"}]})
    yield Caller(server)
    server.close()


def test_only_this_machine_can_reach_it(caller: Caller) -> None:
    assert caller.server.address.startswith("127.0.0.1:")
    assert caller.server.url == f"http://{caller.server.address}/#{caller.server.session.token}"
    assert len(caller.server.session.token) >= 43  # 256 bits


@pytest.mark.parametrize("path", ["/", "/style.css", "/page.js", "/icon.svg"])
def test_the_page_itself_tells_nothing_and_loads_nothing_from_elsewhere(caller: Caller, path: str) -> None:
    status, headers, body = caller.call("GET", path)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"") and b"https://" not in body
    assert caller.server.session.token.encode() not in body


@pytest.mark.parametrize("path", ["/state", "/still/c1/before", "/anything"])
def test_without_the_key_nothing_is_told(caller: Caller, path: str) -> None:
    assert caller.call("GET", path)[0] == 401
    assert caller.call("GET", path, X_AnyPortal_Key="guess")[0] == 401


def test_without_the_key_nothing_is_done(caller: Caller, told: list[Any]) -> None:
    assert caller.post("/wish", GO)[0] == 401
    assert caller.post("/leave", {})[0] == 401
    assert told == [] and not caller.server.left.is_set()


def test_the_token_opens_the_page_once(caller: Caller) -> None:
    assert caller.post("/session", {"token": "guess"})[0] == 403
    assert caller.post("/session", {})[0] == 403
    caller.open()
    status, said = caller.post("/session", {"token": caller.server.session.token})
    assert (status, said["hint"]) == (403, "start AnyPortal again from the host's menu")
    assert caller.call("GET", "/state")[0] == 200


def test_of_many_that_come_with_the_token_at_once_one_gets_in(caller: Caller) -> None:
    token, got = caller.server.session.token, []
    ways = [threading.Thread(target=lambda: got.append(caller.post("/session", {"token": token})[0])) for _ in range(8)]
    for way in ways:
        way.start()
    for way in ways:
        way.join()
    assert sorted(got) == [200] + [403] * 7


@pytest.mark.parametrize("host", ["localhost:{port}", "evil.example:{port}", "127.0.0.1", "", "127.0.0.1:1"])
@pytest.mark.parametrize("path", ["/", "/state"])
def test_another_name_that_leads_here_is_refused(caller: Caller, host: str, path: str) -> None:
    caller.open()
    status, _, body = caller.call("GET", path, Host=host.format(port=caller.port))
    assert status == 421 and b"AnyPortal" not in body


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:{port}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_another_page_is_refused_even_with_the_key(caller: Caller, told: list[Any], headers: dict[str, str]) -> None:
    caller.open()
    headers = {name: value.format(port=caller.port) for name, value in headers.items()}
    assert caller.post("/wish", GO, **headers)[0] == 403
    assert told == []
    assert caller.post("/session", {"token": "x"}, **headers)[0] == 403


def test_a_page_from_elsewhere_may_not_read_either(caller: Caller) -> None:
    caller.open()
    assert caller.call("GET", "/state", Origin="http://evil.example")[0] == 403
    status, headers, _ = caller.call("GET", "/state")
    assert status == 200 and not any(name.lower().startswith("access-control") for name in headers)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"[" * 60000, {}, 400),
        (b"{}", {"Content_Type": "text/plain"}, 415),  # what a form of another page could send
        (b"", {"Content_Length": "99999999"}, 413),
        (b"", {"Content_Length": "-1"}, 413),
    ],
)
def test_what_is_no_message_is_refused(caller: Caller, body: bytes, headers: dict[str, str], status: int) -> None:
    caller.open()
    assert caller.call("POST", "/wish", body, **headers)[0] == status


def test_other_methods_are_not_known(caller: Caller) -> None:
    caller.open()
    assert caller.call("OPTIONS", "/wish")[0] == 501
    assert caller.call("PUT", "/wish")[0] == 501


def test_a_wish_is_told_complete(caller: Caller, told: list[Any]) -> None:
    caller.open()
    assert caller.post("/wish", GO)[0] == 200
    request = {
        "clips": ["c1"], "backdrop": "#102030", "matte": "", "mask": "", "preset": "draft", "subject": "", "seed": 7,
        "handles": 12, "settings": {"relight_strength": 0.5}, "format": "auto", "daemon": "", "placement": "take",
    }  # fmt: skip
    caller.post("/wish", {"action": "daemon", "daemon": " gpu-box:29571 "})
    caller.post("/wish", {**GO, "daemon": "any"})
    chosen = Wished("daemon", {"daemon": "gpu-box:29571"})
    assert told == [Wished("go", request), chosen, Wished("go", {**request, "daemon": "any"})]
    for each in told:
        jsonschema.Draft202012Validator(SCHEMA).validate(each.as_json())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"clips": []}, "clips"),
        ({"clips": ["c2"]}, "clips"),  # one that cannot be processed
        ({"clips": ["c9"]}, "clips"),
        ({"clips": "c1"}, "clips"),
        ({"backdrop": ""}, "backdrop"),
        ({"backdrop": "red"}, "backdrop"),
        ({"backdrop_kind": "file", "backdrop": "beach.jpg"}, "backdrop"),
        ({"backdrop_kind": "file", "backdrop": "/no/such/beach.jpg"}, "backdrop"),
        ({"backdrop_kind": "words", "backdrop": "/"}, "backdrop"),
        ({"backdrop_kind": "else"}, "backdrop_kind"),
        ({"backdrop_kind": "file", "backdrop": "~nobody-here/x.png"}, "backdrop"),
        ({"backdrop_kind": "file", "backdrop": f"/{'a' * 300}.png"}, "backdrop"),
        ({"backdrop_kind": "words", "backdrop": "a\0b"}, "backdrop"),
        ({"matte_kind": "file", "matte": "/no/such/matte.mov"}, "matte"),
        ({"settings": "strong"}, "settings"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"handles": 1.5}, "handles"),
        ({"handles": 100000}, "handles"),
        ({"placement": "finalize"}, "placement"),
        ({"format": "avi"}, "format"),
        ({"settings": "a=" + "[" * 3900}, "settings"),
        ({"subject": "x" * 5000}, "subject"),
        ({"subject": "\ud800"}, "subject"),
        ({"daemon": ["gpu-box"]}, "daemon"),
        ({"action": "daemon", "daemon": "x" * 301}, "daemon"),
        ({"action": "quit"}, "action"),
    ],
)
def test_a_wish_that_is_wrong_says_where(caller: Caller, told: list[Any], change: dict[str, Any], field: str) -> None:
    caller.open()
    status, said = caller.post("/wish", {**GO, **change})
    assert status in (400, 409) and said["field"] == field and said["message"]
    assert told == []


def test_files_are_named_in_full_and_must_be_there(caller: Caller, told: list[Any], tmp_path: Path) -> None:
    caller.open()
    picture = tmp_path / "beach 100%.jpg"
    picture.touch()
    files = {"backdrop_kind": "file", "backdrop": f'  "{picture}" ', "matte_kind": "file", "matte": "/m/matte.%04d.exr"}
    assert caller.post("/wish", {**GO, **files})[0] == 200
    assert (told[0].request["backdrop"], told[0].request["matte"]) == (str(picture), "/m/matte.%04d.exr")
    assert caller.post("/wish", {**GO, "matte_kind": "alpha"})[0] == 200
    assert told[1].request["matte"] == "alpha"
    assert caller.post("/wish", {**GO, "matte_kind": "mask", "matte": str(picture)})[0] == 200
    assert (told[2].request["matte"], told[2].request["mask"]) == ("", str(picture))


def test_words_may_be_longer_than_the_name_of_a_file(caller: Caller, told: list[Any]) -> None:
    caller.open()
    words = "a long misty beach at sunset " * 12
    assert caller.post("/wish", {**GO, "backdrop_kind": "words", "backdrop": words})[0] == 200
    assert told[0].request["backdrop"] == words.strip()


def test_whatever_goes_wrong_the_page_gets_an_answer(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caller.post("/session", {"token": "\ud800"})[0] == 403
    caller.open()

    def broken(event: object) -> None:
        raise OSError("the pipe is full")

    monkeypatch.setattr(caller.server, "tell", broken)
    status, said = caller.post("/wish", GO)
    assert (status, said["message"]) == (500, "this went wrong: OSError: the pipe is full")


def test_a_page_waits_for_the_next_change(caller: Caller) -> None:
    caller.open()
    first = json.loads(caller.call("GET", "/state?after=0")[2])
    same = json.loads(caller.call("GET", f"/state?after={first['revision']}")[2])
    assert same["revision"] == first["revision"]  # after a while without a change
    threading.Timer(0.05, caller.server.state.merge_clip, [{"id": "c1", "state": "working"}]).start()
    later = json.loads(caller.call("GET", f"/state?after={first['revision']}")[2])
    assert later["revision"] > first["revision"]
    assert later["state"]["clips"][0]["state"] == "working"
    assert later["state"]["clips"][0]["name"] == "a.mov"


def test_pictures_are_had_by_the_clip_and_no_path_can_be_named(caller: Caller, tmp_path: Path) -> None:
    caller.open()
    path = write_movie(tmp_path / "a.mp4", np.full((3, 64, 96, 3), 0.5, np.float32))
    caller.server.state.merge_clip({"id": "c1", "before": {"path": str(path), "frame": 1}})
    status, headers, body = caller.call("GET", "/still/c1/before")
    assert (status, headers["Content-Type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert caller.call("GET", "/still/c1/after")[0] == 404
    assert caller.call("GET", "/still/c9/before")[0] == 404
    for odd in ("/still/%2Fetc%2Fpasswd/before", "/still/c1", "/still/c1/before/..", "/../session.py", "//etc/passwd"):
        assert caller.call("GET", odd)[0] == 404
    caller.server.state.merge_clip({"id": "c1", "after": {"path": str(tmp_path / "later.mp4"), "frame": 0}})
    assert caller.call("GET", "/still/c1/after")[0] == 404
    path.rename(tmp_path / "later.mp4")
    assert caller.call("GET", "/still/c1/after")[0] == 200  # it is there now


def test_requests_on_one_connection_do_not_run_into_each_other(caller: Caller) -> None:
    caller.open()
    connection = http.client.HTTPConnection(caller.server.address, timeout=20)
    own = {"Origin": f"http://{caller.server.address}", "X-AnyPortal-Key": caller.key}
    for method, path in (("POST", "/leave"), ("GET", "/state"), ("POST", "/leave"), ("GET", "/")):
        body = "{}" if method == "POST" else None
        connection.request(method, path, body, {**own, "Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
    connection.request("POST", "/wish", "{}", {**own, "Content-Type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Connection"]) == (400, "close")
    connection.close()


class Process:
    """The command itself, as a host starts it."""

    def __init__(self) -> None:
        line = [sys.executable, "-m", "anyportal_client.cli", "window", "--for", "resolve", "--no-open", "--json"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd="/")
        assert self.process.stdin is not None and self.process.stdout is not None
        self.inward, self.outward = self.process.stdin, self.process.stdout

    def say(self, **what: Any) -> None:
        self.inward.write(json.dumps(what) + "\n")
        self.inward.flush()

    def hear(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.outward.readline())
        jsonschema.Draft202012Validator(SCHEMA).validate(event)
        return event


def post(address: str, path: str, body: Any, key: str = "") -> dict[str, Any]:
    connection = http.client.HTTPConnection(address, timeout=20)
    headers = {"Origin": f"http://{address}", "Content-Type": "application/json", "X-AnyPortal-Key": key}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200
    found: dict[str, Any] = json.loads(answer.read())
    return found


def test_the_command_carries_states_in_and_wishes_out() -> None:
    window = Process()
    opened = window.hear()
    address, token = opened["address"], opened["url"].partition("#")[2]
    window.say(state={"clips": [{"id": "c1"}]})
    window.inward.write("no json\n[]\n")
    key = post(address, "/session", {"token": token})["key"]
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.request("GET", "/state?after=0", headers={"X-AnyPortal-Key": key})
    assert json.loads(connection.getresponse().read())["state"]["clips"][0]["id"] == "c1"
    look = {"scope": "marked", "mark": "Teal", "handles": 12, "placement": "take"}
    post(address, "/wish", {"action": "look", **look}, key)
    wish = window.hear()
    assert (wish["event"], wish["action"], wish["request"]) == ("wish", "look", look)
    window.inward.close()
    assert window.hear() == {"schema": 1, "event": "window_closed", "reason": "told to"}
    assert window.process.wait(20) == 0
    assert window.process.stderr is not None and window.process.stderr.read() == ""


def test_the_command_ends_when_it_is_told_to() -> None:
    window = Process()
    window.hear()
    window.say(close=True)
    assert window.hear()["event"] == "window_closed"
    assert window.process.wait(20) == 0


def test_a_page_that_left_and_does_not_come_back_ends_the_window(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_TICK", 0.01)
    monkeypatch.setattr(command, "_GRACE", 0.2)
    caller.open()
    ended = threading.Event()
    caller.post("/leave", {})
    caller.call("GET", "/state")  # it only loaded itself again
    assert not caller.server.left.is_set()
    caller.post("/leave", {})
    assert command._wait(caller.server, ended) == "page closed"


def test_a_window_that_nobody_opens_ends(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_TICK", 0.01)
    monkeypatch.setattr(command, "_FORGOTTEN", 0.05)
    assert command._wait(caller.server, threading.Event()) == "nobody came"
