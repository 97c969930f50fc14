"""What the drill of the noisy user counts, and that only a limiter brings it to nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from blackstart.stack.running import RunningStack
from fixtures import users
from fixtures.users import Noise, pester

#: Status and headers of the answer to the request of that number, from 1.
Answer = Callable[[int], tuple[int, dict[str, str]]]
WAIT = {"Retry-After": "1"}
BURST, RATE, SECONDS = 6, 20.0, 0.4


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Noise]]:
    """Pesters a server that answers as it is told, with an allowance of some 14 of 40 requests."""
    servers = []

    def made(answer: Answer) -> Noise:
        asked, lock = [0], threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with lock:
                    asked[0] += 1
                    status, headers = answer(asked[0])
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(users, "front_url", lambda *_: url)
        return pester(cast(RunningStack, SimpleNamespace(run_id="r")), seconds=SECONDS, rate=100.0)

    monkeypatch.setattr(users, "trusted", lambda _: True)
    monkeypatch.setattr(users, "USER_BURST", BURST)
    monkeypatch.setattr(users, "USER_RATE", RATE)
    yield made
    for server in servers:
        server.shutdown()
        server.server_close()


def limiter(headers: dict[str, str]) -> Answer:
    """Lets by what is allowed by now, and answers the others 429 with these headers."""
    began, passed = time.monotonic(), [0]

    def answer(_: int) -> tuple[int, dict[str, str]]:
        if passed[0] >= BURST + RATE * (time.monotonic() - began):
            return 429, headers
        passed[0] += 1
        return 200, {}

    return answer


def test_who_is_limited_and_told_to_wait_is_no_defect(noise: Callable[[Answer], Noise]) -> None:
    found = noise(limiter(WAIT))
    assert found.told > 0
    assert found.not_told == 0


@pytest.mark.parametrize("status", [200, 401, 503])
def test_without_a_limiter_what_is_beyond_the_allowance_counts_whatever_becomes_of_it(
    noise: Callable[[Answer], Noise], status: int
) -> None:
    found = noise(lambda _: (status, WAIT))
    assert found.told == 0
    assert found.asked >= 1.2 * found.allowed
    assert found.not_told > 0


def test_a_refusal_that_does_not_say_when_to_come_again_counts(noise: Callable[[Answer], Noise]) -> None:
    assert noise(limiter({})).not_told > 0


def test_a_twentieth_beyond_the_allowance_is_no_fault() -> None:
    assert Noise(asked=480, told=165, allowed=300.0).not_told == 0
    assert Noise(asked=480, told=160, allowed=300.0).not_told == 5
