"""The HTTP side against servers that misbehave byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from blackstart.load.http import BROKEN, HttpExecutor
from blackstart.load.operations import HttpOperation
from blackstart.load.outcome import Outcome

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
VALUES = {"run": "r", "session": "s", "id": "7", "seq": "1", "prompt": "why?"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def run(main: Coroutine[Any, Any, None]) -> None:
    """On the loop that the client uses."""
    uvloop.run(asyncio.wait_for(main, 10))


async def listen(handler: Handler) -> tuple[asyncio.Server, str]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    return server, f"http://{host}:{port}"


def free_url() -> str:
    """A URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def operation(*urls: str, **more: Any) -> HttpOperation:
    given = {"method": "POST", "path": "/x/{session}", "deadline": "500ms", "body": {"q": "{prompt}"}}
    return HttpOperation(f="x", urls=urls, **{**given, **more})


async def answering(chunks: list[bytes], *, close: bool = False, reset: bool = False) -> Outcome:
    """The outcome of one request to a server that answers with `chunks`."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        if reset:
            writer.transport.abort()
        elif close:
            writer.close()
        else:
            await asyncio.Event().wait()

    _, url = await listen(handler)
    return await HttpExecutor(operation(url))(VALUES, None)


@pytest.mark.parametrize(
    ("chunks", "close", "expected"),
    [
        ([OK[:20], OK[20:]], False, ("ok", None)),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", OK], False, ("ok", None)),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"], False, ("ok", None)),
        ([b"HTTP/1.0 200 OK\r\n\r\n{}"], True, ("ok", None)),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"], True, ("info", "disconnected")),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"],
            True,
            ("info", "disconnected"),
        ),
        ([], True, ("info", "disconnected")),
        ([OK[:20]], False, ("info", "timeout")),
        ([b"SSH-2.0-nonsense\r\n"], False, ("info", "bad-http")),
        (
            [b"HTTP/1.1 503 Busy\r\nX-Not-Applied: true\r\nContent-Length: 0\r\n\r\n"],
            False,
            ("fail", "http-503"),
        ),
    ],
)
def test_answers(chunks: list[bytes], close: bool, expected: tuple[str, str | None]) -> None:
    async def main() -> None:
        outcome = await answering(chunks, close=close)
        assert (outcome.type, outcome.error) == expected

    run(main())


def test_a_reset_in_mid_answer_is_indeterminate() -> None:
    async def main() -> None:
        outcome = await answering([OK[:20]], reset=True)
        assert outcome.type == "info"
        assert outcome.error in ("reset", "disconnected")

    run(main())


def test_nobody_listening_is_a_certain_failure() -> None:
    async def main() -> None:
        outcome = await HttpExecutor(operation(free_url(), free_url()))(VALUES, None)
        assert (outcome.type, outcome.error) == ("fail", "refused")

    run(main())


@pytest.fixture
def deaf() -> Iterator[str]:
    """A URL whose host takes no connection: its backlog is full, and the kernel drops further SYNs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        host, port = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((host, port))
        yield f"http://{host}:{port}"


def test_no_connection_in_time_is_a_certain_failure(deaf: str) -> None:
    async def main() -> None:
        outcome = await HttpExecutor(operation(deaf, connect_timeout="200ms"))(VALUES, None)
        assert (outcome.type, outcome.error) == ("fail", "connect-timeout")

    run(main())


def test_who_waited_in_vain_asks_the_other_one_whoever_came_meanwhile(deaf: str) -> None:
    async def main() -> None:
        _, url = await listen(Counting())
        executor = HttpExecutor(operation(deaf, url, connect_timeout="100ms"))
        outcomes = await asyncio.gather(*(executor(VALUES, None) for _ in range(5)))
        assert [outcome.type for outcome in outcomes] == ["ok"] * 5
        await executor.close()

    run(main())


class Counting:
    """Answers ok and keeps the request bytes of each connection; `close()` ends idle ones."""

    def __init__(self) -> None:
        self.seen: list[list[bytes]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[bytes] = []
        self.seen.append(mine)
        self._writers.append(writer)
        while True:
            try:
                mine.append(await reader.readuntil(b"}"))
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return
            writer.write(OK)

    def close(self) -> None:
        """Say goodbye on all connections at once, in the kernel: no event loop hears of it first."""
        for writer in self._writers:
            kernel = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
            with kernel, contextlib.suppress(OSError):  # gone already
                kernel.shutdown(socket.SHUT_WR)


def test_connections_are_reused_and_carry_what_the_templates_say() -> None:
    async def main() -> None:
        counting = Counting()
        _, url = await listen(counting)
        executor = HttpExecutor(operation(f"{url}/base", headers={"idempotency-key": "{id}"}))
        for _ in range(3):
            assert (await executor(VALUES, None)).type == "ok"
        assert len(counting.seen) == 1
        head, _, body = counting.seen[0][2].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /base/x/s HTTP/1.1\r\nHost: 127.0.0.1:")
        assert b"\r\nIdempotency-Key: 7\r\n" in head
        assert body == b'{"q":"why?"}'
        await executor.close()

    run(main())


def test_a_connection_that_the_server_closed_while_idle_costs_no_operation() -> None:
    async def main() -> None:
        counting = Counting()
        _, url = await listen(counting)
        executor = HttpExecutor(operation(url))
        for _ in range(20):
            assert (await executor(VALUES, None)).type == "ok"
            counting.close()  # the close is under way; the client's loop has not been told
        assert sum(map(len, counting.seen)) == 20, "no request was sent twice"

    run(main())


def saying(answer: bytes | None, *, reset: bool = False) -> Handler:
    """Takes one request and answers so, or hangs up."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer)
            return
        if reset:
            writer.transport.abort()
        else:
            writer.close()

    return handler


REFUSED = b"HTTP/1.1 503 Busy\r\nX-Not-Applied: true\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("more", "second", "expected"),
    [
        ({"headers": {"idempotency-key": "{id}"}}, OK, ("ok", None)),
        ({"method": "GET", "body": None}, OK, ("ok", None)),
        ({"method": "GET", "body": None}, None, ("info", None)),
        # The broken try may have been applied, whatever the second one hears.
        ({"headers": {"Idempotency-Key": "{id}"}}, REFUSED, ("info", "http-503")),
        ({}, OK, ("info", None)),
    ],
)
def test_a_broken_request_that_may_be_repeated_goes_to_the_next_url(
    more: dict[str, Any], second: bytes | None, expected: tuple[str, str | None], reset: bool
) -> None:
    async def main() -> None:
        _, bad = await listen(saying(None, reset=reset))
        _, good = await listen(saying(second))
        executor = HttpExecutor(operation(good, bad, **more))  # the first turn is the second URL's
        outcome = await executor(VALUES, None)
        assert outcome.type == expected[0]
        if expected[1] is not None:
            assert outcome.error == expected[1]
        elif outcome.type == "info":
            assert outcome.error in BROKEN

    run(main())


def test_a_broken_request_stays_indeterminate_when_no_other_url_connects() -> None:
    async def main() -> None:
        _, bad = await listen(saying(None))
        executor = HttpExecutor(operation(free_url(), bad, headers={"Idempotency-Key": "{id}"}))
        outcome = await executor(VALUES, None)
        assert (outcome.type, outcome.error in BROKEN) == ("info", True)

    run(main())


def test_a_request_without_an_answer_in_time_is_not_repeated() -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        counting = Counting()
        _, bad = await listen(silent)
        _, good = await listen(counting)
        executor = HttpExecutor(operation(good, bad, headers={"Idempotency-Key": "{id}"}))
        outcome = await executor(VALUES, None)
        assert (outcome.type, outcome.error) == ("info", "timeout")
        assert counting.seen == []

    run(main())


def test_of_what_cannot_be_repeated_the_next_url_is_tried_only_if_nothing_was_sent() -> None:
    async def main() -> None:
        counting = Counting()
        _, good = await listen(counting)

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"}")
            writer.close()

        _, bad = await listen(hang_up)
        around = HttpExecutor(operation(free_url(), good))
        assert [(await around(VALUES, None)).type for _ in range(4)] == ["ok"] * 4
        count = sum(map(len, counting.seen))
        after = HttpExecutor(operation(bad, good))
        assert sorted([(await after(VALUES, None)).type for _ in range(4)]) == ["info", "info", "ok", "ok"]
        assert sum(map(len, counting.seen)) == count + 2

    run(main())
