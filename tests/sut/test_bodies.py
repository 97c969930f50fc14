"""A body that never ends is given up, whole or streamed, by the clients that the service uses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from langchain_core.messages import HumanMessage

from sut.app.service import bodies
from sut.app.service.llm import PROVIDER_ERRORS, chat_model
from sut.app.service.tracing import client


def serve(size: int, use: Callable[[str], Awaitable[None]], headers: dict[str, str] | None = None) -> None:
    """Run `use(url)` against a server whose every answer has `size` bytes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **(headers or {})})
        await response.prepare(request)
        for begin in range(0, size, 1000):
            await response.write(b":" * min(1000, size - begin))
        return response

    async def go() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        async with TestServer(app) as server:
            await use(str(server.make_url("/")))

    asyncio.run(go())


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LARGEST", 5000)


def test_a_body_is_read_up_to_the_bound_and_no_further() -> None:
    async def whole(url: str) -> None:
        async with client(httpx.Timeout(5)) as asking:
            assert len((await asking.get(url)).content) == 5000

    async def too_large(url: str) -> None:
        async with client(httpx.Timeout(5)) as asking:
            with pytest.raises(httpx.ReadError):
                await asking.get(url)

    serve(5000, whole)
    serve(5001, too_large)


def test_a_body_is_taken_as_it_was_sent_and_not_unpacked() -> None:
    async def packed(url: str) -> None:
        async with client(httpx.Timeout(5)) as asking:
            assert (await asking.get(url)).content == b":" * 10

    serve(10, packed, {"Content-Encoding": "gzip"})


@pytest.mark.parametrize("streamed", [False, True])
def test_a_provider_that_goes_on_sending_is_a_provider_that_fails(streamed: bool) -> None:
    async def ask(url: str) -> None:
        model = chat_model(url, "model", 5.0)
        with pytest.raises(PROVIDER_ERRORS):
            if streamed:
                async for _ in model.astream([HumanMessage("hi")]):
                    pytest.fail("a comment is no token")
            else:
                await model.ainvoke([HumanMessage("hi")])

    serve(5001, ask)
