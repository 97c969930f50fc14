"""Components that say what a test wants them to say: HTTP on a real socket, and events in a list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from blackstart.model.stack import Image, Instance, Stack
from blackstart.stack.running import RunningStack

RECORDED = Path(__file__).parent / "recorded"
IMAGE = Image("none", RECORDED)


def recorded(name: str) -> bytes:
    """A body as the real component sent it (Patroni 4.0.7, HAProxy 3.0, Prometheus 2.42, the sample app)."""
    return (RECORDED / name).read_bytes()


class Place:
    """An HTTP server on 127.0.0.1 that answers by path; `freeze` makes it accept and never answer."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self.answers = dict(answers)
        self.status = 200
        self._thaw = threading.Event()
        self._thaw.set()
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                place._thaw.wait(10)
                body = place.answers.get(self.path)
                self.send_response(place.status if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    # The client gave up waiting, as it should.
                    self.close_connection = True

        self._handler = Handler
        self.port = 0
        self.up()

    def up(self) -> None:
        """Listen, on the same port as before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections."""
        self._server.shutdown()
        self._server.server_close()

    def freeze(self) -> None:
        """Accept and do not answer."""
        self._thaw.clear()

    def thaw(self) -> None:
        """Answer again."""
        self._thaw.set()


class Events:
    """Collects events; `until` waits for one."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    def __call__(self, source: str, event: str, **fields: Any) -> None:
        with self._changed:
            self.all.append({"source": source, "event": event, **fields})
            self._changed.notify_all()

    def until(self, limit: float = 5.0, **wanted: Any) -> dict[str, Any]:
        """The first event with all the `wanted` fields; fails after `limit` seconds with what there was."""
        with self._changed:
            found = self._changed.wait_for(lambda: self.find(**wanted), limit)
        assert found, f"no event {wanted} within {limit} s; seen: {self.all}"
        return found

    def find(self, **wanted: Any) -> dict[str, Any] | None:
        """The first event with all the `wanted` fields, or None."""
        return next((e for e in self.all if wanted.items() <= e.items()), None)

    def names(self, **wanted: Any) -> list[str]:
        """The names of all events with the `wanted` fields, in order."""
        return [e["event"] for e in self.all if wanted.items() <= e.items()]


@contextmanager
def running(
    service: str, port: str, places: Mapping[str, Place], roles: Mapping[str, Any] | None = None
) -> Iterator[RunningStack]:
    """A stack of one service whose instances are `places`; they are taken down at the end."""
    instances = tuple(Instance(name, service, IMAGE, {port: 80}, publish=(port,)) for name in places)
    stack = Stack("recorded", IMAGE, instances, roles=roles or {})
    try:
        yield RunningStack(stack, "test", cast(Any, None), {n: {80: p.port} for n, p in places.items()})
    finally:
        for place in places.values():
            place.thaw()
            place.down()


def eventually(check: Callable[[], bool], limit: float = 5.0) -> bool:
    """Whether `check` comes true within `limit` seconds."""
    waiting = threading.Event()
    for _ in range(int(limit / 0.01)):
        if check():
            return True
        waiting.wait(0.01)
    return False
