"""HTTP/2 spoken by hand: what no client of gRPC would send."""

from __future__ import annotations

import select
import socket
import struct
import time

DATA, HEADERS, RESET, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
ACK, END_STREAM, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SHAKEN = PREFACE + b"\0\0\0\4\0\0\0\0\0"
PIECE = 16_384


def frame(kind: int, flags: int, stream: int, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + data


def header(name: str, value: str) -> bytes:
    """A literal one, of less than 127 characters each."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


class Caller:
    """One connection, in clear text. It keeps to the windows that it is given, and to nothing else."""

    def __init__(self, port: int, token: str) -> None:
        self._line = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._line.sendall(SHAKEN)
        self._token, self._heard = token, b""
        self._room, self._first_room, self._rooms = 65_535, 65_535, dict[int, int]()
        self.ended = set[int]()
        """Calls that the daemon has ended."""
        self.listen(0.3)

    def close(self) -> None:
        self._line.close()

    def call(self, path: str) -> int:
        """Begin a call."""
        stream = 2 * (len(self._rooms) + 1) - 1
        pairs = {":path": path, ":authority": "localhost", "te": "trailers", "content-type": "application/grpc"}
        pairs["authorization"] = f"Bearer {self._token}"
        block = bytes([0x83, 0x86]) + b"".join(header(*pair) for pair in pairs.items())
        self._line.sendall(frame(HEADERS, END_HEADERS, stream, block))
        self._rooms[stream] = self._first_room
        return stream

    def begin_message(self, stream: int, size: int, patience: float) -> int:
        """Send all of a message but its last byte, as far as the daemon takes it; gives how far."""
        left, since = size + 4, time.monotonic()
        self._send(stream, b"\0" + struct.pack(">I", size))
        left -= 5
        while left and stream not in self.ended and time.monotonic() - since < patience:
            piece = min(left, PIECE, self._room, self._rooms[stream])
            if piece <= 0:
                self.listen(0.05)
                continue
            self._send(stream, bytes(piece))
            left, since = left - piece, time.monotonic()
            self.listen(0)
        return size - 1 - left

    def _send(self, stream: int, data: bytes) -> None:
        self._line.sendall(frame(DATA, 0, stream, data))
        self._room -= len(data)
        self._rooms[stream] -= len(data)

    def listen(self, seconds: float) -> None:
        """Take what comes."""
        until = time.monotonic() + seconds
        while select.select([self._line], [], [], max(0.0, until - time.monotonic()))[0]:
            data = self._line.recv(65_536)
            if not data:
                return
            self._heard += data
            while len(self._heard) >= 9 and len(self._heard) >= (whole := 9 + int.from_bytes(self._heard[:3], "big")):
                kind, flags, stream = self._heard[3], self._heard[4], int.from_bytes(self._heard[5:9], "big")
                self._take(kind, flags, stream, self._heard[9:whole])
                self._heard = self._heard[whole:]

    def _take(self, kind: int, flags: int, stream: int, data: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self._settle(data)
        elif kind == PING and not flags & ACK:
            self._line.sendall(frame(PING, ACK, 0, data))
        elif kind == WINDOW and stream == 0:
            self._room += int.from_bytes(data, "big")
        elif kind == WINDOW:
            self._rooms[stream] += int.from_bytes(data, "big")
        elif kind == RESET or (kind == HEADERS and flags & END_STREAM):
            self.ended.add(stream)

    def _settle(self, data: bytes) -> None:
        for at in range(0, len(data), 6):
            name, value = struct.unpack(">HI", data[at : at + 6])
            if name == 4:
                self._rooms = {stream: room + value - self._first_room for stream, room in self._rooms.items()}
                self._first_room = value
        self._line.sendall(frame(SETTINGS, ACK, 0))
