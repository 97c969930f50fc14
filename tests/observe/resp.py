"""A server of Redis' protocol on a real socket, for a Redis or Sentinel that says what a test wants."""

from __future__ import annotations

import socketserver
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any


def resp(value: Any) -> bytes:
    """`value` in RESP 2: lists, whole numbers and texts."""
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(resp, value))
    if isinstance(value, int):
        return b":%d\r\n" % value
    raw = str(value).encode()
    return b"$%d\r\n%s\r\n" % (len(raw), raw)


class Line:
    """A client's connection, as the place sees it."""

    def __init__(self, handler: socketserver.StreamRequestHandler) -> None:
        self._handler = handler
        self._lock = threading.Lock()

    def send(self, message: bytes) -> None:
        """Send; a client that went away is none of the place's trouble."""
        with self._lock:
            try:
                self._handler.wfile.write(message)
            except OSError:
                return

    def hang_up(self) -> None:
        """Close the connection, as a process that dies does."""
        try:
            self._handler.connection.shutdown(2)
        except OSError:
            return

    def command(self) -> list[str]:
        """The next command in upper case; empty when the client is gone."""
        try:
            words = []
            for _ in range(int(self._handler.rfile.readline()[1:] or 0)):
                size = int(self._handler.rfile.readline()[1:])
                words.append(self._handler.rfile.read(size + 2)[:-2].decode())
            return [w.upper() for w in words]
        except OSError:
            return []


class RespPlace(ABC):
    """A server on 127.0.0.1 that listens at once; `answer` says what a command gets."""

    def __init__(self) -> None:
        place = self
        self.lines: list[Line] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                line = Line(self)
                place.lines.append(line)
                while command := line.command():
                    line.send(place.answer(command, line))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.port = 0
        self._make: Callable[[], Server] = lambda: Server(("127.0.0.1", self.port), Handler)
        self.up()

    @abstractmethod
    def answer(self, command: list[str], line: Line) -> bytes:
        """The reply to `command` in RESP; nothing to say is empty."""

    def up(self) -> None:
        """Listen, on the same port as before."""
        self.server = self._make()
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections and end those there are."""
        self.server.shutdown()
        self.server.server_close()
        for line in self.lines:
            line.hang_up()
        self.lines = []
