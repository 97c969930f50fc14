"""The search tool, its client, and what may not come out of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import httpx
import pytest

from sut.app.service.answers import blamed
from sut.app.service.breaker import Breaker, State
from sut.app.service.bulkhead import Bulkhead
from sut.app.service.deadline import HEADER, narrowed
from sut.app.service.errors import Refusal
from sut.app.service.tool import LARGEST, SearchTool, ToolUnavailable
from sut.tool.catalogue import search
from sut.tool.server import FAULTS, Behaviour, Server


@pytest.fixture
def server() -> Iterator[Server]:
    """The tool itself on a free port."""
    with Server(("127.0.0.1", 0), Behaviour()) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def ask(
    address: str,
    *,
    breaker: Breaker | None = None,
    bulkhead: Bulkhead | None = None,
    optional: bool = True,
    transport: httpx.AsyncBaseTransport | None = None,
    left: float = 60.0,
) -> list[str]:
    async def go() -> list[str]:
        with narrowed(left):
            return await searched()

    async def searched() -> list[str]:
        async with httpx.AsyncClient(transport=transport) as client:
            tool = SearchTool(
                client,
                address,
                breaker or Breaker("tool"),
                bulkhead or Bulkhead("tool"),
                timeout=0.5,
                optional=optional,
            )
            return await tool.search("Where are the spare batteries & parts?")

    return asyncio.run(go())


def saying(answer: httpx.Response) -> httpx.MockTransport:
    """A server that streams `answer` to whoever asks."""
    stream = httpx.ByteStream(answer.content)
    return httpx.MockTransport(
        lambda request: httpx.Response(answer.status_code, headers=answer.headers, stream=stream)
    )


def test_a_search_is_answered_the_same_way_each_time(server: Server) -> None:
    first = ask(url(server))
    assert first[0].startswith("Stock of spare parts: Batteries")
    assert ask(url(server)) == first
    assert server.behaviour.searches == 2


def test_a_question_without_a_known_word_finds_nothing() -> None:
    assert search("xyzzy") == []


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_the_tool_is_unavailability_until_it_is_reset(server: Server, fault: str) -> None:
    told = httpx.put(f"{url(server)}/admin/fault", json={"fault": fault, "expires_s": 60})
    assert told.status_code == 200
    with pytest.raises(ToolUnavailable):
        ask(url(server))
    assert httpx.post(f"{url(server)}/admin/reset").status_code == 200
    assert ask(url(server))
    assert httpx.get(f"{url(server)}/admin/requests").json() == {"searches": 1}


def test_a_fault_ends_by_itself_and_an_unknown_one_is_refused(server: Server) -> None:
    assert httpx.put(f"{url(server)}/admin/fault", json={"fault": "error", "expires_s": 0}).is_success
    assert ask(url(server))
    assert httpx.put(f"{url(server)}/admin/fault", json={"fault": "magic"}).status_code == 400


def test_the_tool_says_that_it_lives_and_what_it_does_not_know(server: Server) -> None:
    assert httpx.get(f"{url(server)}/health/live").status_code == 200
    assert httpx.get(f"{url(server)}/elsewhere").status_code == 404


def test_nobody_there_is_unavailability() -> None:
    with pytest.raises(ToolUnavailable):
        ask("http://127.0.0.1:1")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"results": None}),
        httpx.Response(200, json={"results": [{"title": "only"}]}),
        httpx.Response(200, json={"results": [{"title": "t", "snippet": "s" * 1001}]}),
        httpx.Response(200, json={"results": [{"title": "t", "snippet": "s"}] * 51}),
        httpx.Response(200, json={"results": [], "padding": "x" * LARGEST}),
        httpx.Response(302, headers={"Location": "http://elsewhere/"}),
        httpx.Response(204),
    ],
    ids=["empty", "bytes", "list", "null", "fields", "long", "many", "large", "redirect", "nothing"],
)
def test_an_answer_of_another_shape_is_garbage(answer: httpx.Response) -> None:
    with pytest.raises(ToolUnavailable):
        ask("http://tool", transport=saying(answer))


def test_a_model_is_shown_the_first_results_only() -> None:
    results = [{"title": f"t{n}", "snippet": "s", "rank": n} for n in range(9)]
    found = ask("http://tool", transport=saying(httpx.Response(200, json={"results": results})))
    assert found == ["t0: s", "t1: s", "t2: s"]


def test_garbage_opens_the_breaker_and_an_open_one_spares_the_tool(server: Server) -> None:
    breaker = Breaker("tool", failures=2, open_s=60)
    server.behaviour.fault, server.behaviour.ends = "garbage", float("inf")
    for _ in range(5):
        with pytest.raises(ToolUnavailable):
            ask(url(server), breaker=breaker)
    assert (breaker.state, server.behaviour.searches) == (State.OPEN, 2)


def test_a_full_bulkhead_spares_the_tool_and_is_not_blamed_on_it(server: Server) -> None:
    breaker = Breaker("tool", failures=1, open_s=60, blame=blamed)
    with pytest.raises(ToolUnavailable, match="NotAsked"):
        ask(url(server), breaker=breaker, bulkhead=Bulkhead("tool", 0, wait_s=0.01))
    assert (breaker.state, server.behaviour.searches) == (State.CLOSED, 0)


def test_a_caller_who_cannot_wait_is_not_held_against_the_tool() -> None:
    told: list[int] = []

    async def hang(request: httpx.Request) -> httpx.Response:
        told.append(int(request.headers[HEADER]))
        await asyncio.Event().wait()
        raise AssertionError

    breaker = Breaker("tool", failures=1, blame=blamed)
    with pytest.raises(ToolUnavailable, match="CutShort"):
        ask("http://tool", breaker=breaker, transport=httpx.MockTransport(hang), left=0.1)
    assert breaker.state is State.CLOSED
    assert 0 < told[0] <= 100
    with pytest.raises(ToolUnavailable, match="TimeoutError"):
        ask("http://tool", breaker=breaker, transport=httpx.MockTransport(hang))
    assert breaker.state.name == "OPEN"


def test_the_control_that_requires_the_tool_fails_the_turn() -> None:
    with pytest.raises(Refusal) as caught:
        ask("http://127.0.0.1:1", optional=False)
    assert (caught.value.status, caught.value.retry_after) == (503, 1)
