"""The page over HTTP, on loopback alone."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from anyportal_client.window.session import Refusal, Session, check_origin
from anyportal_client.window.state import SIDES, State
from anyportal_client.window.stills import still_of
from anyportal_client.window.wishes import read_wish

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_LONGEST_BODY = 64 << 10
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Tell = Callable[[Any], None]


class Server:
    """Serves the page of one window.

    Args:
        tell: called with each event, from any thread.
        patience: seconds that a page which waits for a change is kept waiting.
    """

    def __init__(self, state: State, tell: Tell, patience: float = 20) -> None:
        self.state = state
        self.session = Session()
        self.left = threading.Event()
        self.tell = tell
        self.patience = patience
        # Port 0: one that is free. Never another address: what is shown here is the user's own.
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return "{}:{}".format(*self._http.server_address[:2])

    @property
    def url(self) -> str:
        """Opens the page, once."""
        return f"http://{self.address}/#{self.session.token}"

    def close(self) -> None:
        """Serve no more."""
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def __init__(self, window: Server, *arguments: Any) -> None:
        self._window = window
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._answer(self._get, writes=False)

    def do_POST(self) -> None:
        self._answer(self._post, writes=True)

    def _answer(self, work: Callable[[str], None], writes: bool) -> None:
        try:
            check_origin(self.headers, self._window.address, writes)  # type: ignore[arg-type]
            work(urlsplit(self.path).path)
        except Refusal as refusal:
            self._refuse(refusal)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the page went away
        except Exception as error:  # whatever it is: a page that gets no answer waits for ever
            self._refuse(Refusal(500, f"this went wrong: {type(error).__name__}: {error}"))

    def _refuse(self, refusal: Refusal) -> None:
        self.close_connection = True  # what it had to say may not have been read
        said = {"message": refusal.message, "hint": refusal.hint, "field": refusal.field}
        self._send(refusal.status, json.dumps(said).encode(), "application/json")

    def _get(self, path: str) -> None:
        if path in _FILES:
            name, kind = _FILES[path]
            self._send(200, (_PAGE / name).read_bytes(), kind)
            return
        self._check_key()
        if path == "/state":
            self._send_state()
        elif path.startswith("/still/"):
            self._send_still(path.split("/")[2:])
        else:
            raise Refusal(404, "there is no such page")

    def _post(self, path: str) -> None:
        if path != "/session":
            self._check_key()
        body = self._body()  # also where nothing is expected in it: what is left unread would begin the next request
        if path == "/session":
            self._send_json({"key": self._window.session.exchange(body.get("token"))})
        elif path == "/wish":
            self._window.tell(read_wish(body, self._window.state.choosable()))
            self._send_json({})
        elif path == "/leave":
            self._window.left.set()
            self._send_json({})
        else:
            raise Refusal(404, "there is no such page")

    def _check_key(self) -> None:
        self._window.session.check_key(self.headers)  # type: ignore[arg-type]

    def _send_state(self) -> None:
        self._window.left.clear()  # it came back: it was only loaded again
        after = parse_qs(urlsplit(self.path).query).get("after", ["0"])[0]
        revision, state = self._window.state.wait(int(after) if after.isdecimal() else 0, self._window.patience)
        self._send_json({"revision": revision, "state": state})

    def _send_still(self, parts: list[str]) -> None:
        side = next((known for known in SIDES if parts[1:] == [known]), None)
        still = self._window.state.still(unquote(parts[0]), side) if side else None
        picture = still_of(still) if still else None
        if picture is None:
            raise Refusal(404, "there is no such picture")
        self._send(200, picture, "image/jpeg")

    def _body(self) -> dict[str, Any]:
        if self.headers.get_content_type() != "application/json":
            raise Refusal(415, "only JSON is understood")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LONGEST_BODY:
            raise Refusal(413, "this is too long")
        try:
            table = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            table = None
        if not isinstance(table, dict):
            raise Refusal(400, "only JSON is understood")
        return table

    def _send_json(self, table: dict[str, Any]) -> None:
        self._send(200, json.dumps(table).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus(status))
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "AnyPortal"

    def log_message(self, format: str, *args: Any) -> None:
        pass  # standard error is empty, as with every command that speaks JSON
