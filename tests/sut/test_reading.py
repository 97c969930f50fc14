"""Where a session is read from while the primary answers, and while it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg
import pytest
from psycopg_pool import TooManyRequests

from sut.app.service import turns
from sut.app.service.content import Box
from sut.app.service.database import CROWDED, Pool
from sut.app.service.errors import Broken, Refusal
from sut.app.service.reading import read_session

BOX = Box()


@dataclass
class Server:
    """A pool of one server: `answers` says by call yes, down, readonly, crowded or hangs.

    The last one stays.
    """

    ids: list[str]
    answers: tuple[str, ...] = ("yes",)
    asked: int = 0
    closed: int = 0

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Server]:
        says = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if says == "crowded":
            raise TooManyRequests
        if says == "readonly":
            raise Broken("the server does not accept writes")
        self.says = says
        yield self

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(conn: Server, session: str, subject: str, box: Box, limit: int) -> dict[str, Any]:
        assert (box, limit) == (BOX, 5)
        if conn.says == "down":
            raise psycopg.OperationalError("gone")
        if conn.says == "hangs":
            await asyncio.Event().wait()
        if subject != "ann":
            raise Refusal(403, "the session belongs to someone else")
        return {"session": session, "ids": conn.ids}

    monkeypatch.setattr(turns, "read_session", read)


def read(
    primary: Server, standby: Server | None, subject: str = "ann", deadline: float = 1.0
) -> dict[str, Any]:
    return asyncio.run(
        read_session(
            cast(Pool, primary),
            cast(Pool, standby),
            "s1",
            subject,
            BOX,
            deadline=deadline,
            patience=0.04,
            limit=5,
        )
    )


def test_a_session_is_read_from_the_primary() -> None:
    standby = Server(["old"])
    assert read(Server(["new"]), standby) == {"session": "s1", "ids": ["new"], "degraded": []}
    assert standby.asked == 0


def test_a_line_that_is_too_long_is_no_reason_to_ask_the_standby() -> None:
    standby = Server(["old"])
    with pytest.raises(Refusal, match=CROWDED) as caught:
        read(Server([], ("crowded",)), standby)
    assert (caught.value.status, caught.value.retry_after, standby.asked) == (503, 1, 0)


@pytest.mark.parametrize("trouble", ["down", "readonly", "hangs"])
def test_while_no_primary_answers_the_standby_does_and_says_so(trouble: str) -> None:
    found = read(Server([], (trouble,)), Server(["old"]))
    assert found == {"session": "s1", "ids": ["old"], "degraded": ["read-only"]}


@pytest.mark.parametrize("trouble", ["down", "hangs"])
def test_a_standby_that_is_being_promoted_is_asked_for_as_the_primary(trouble: str) -> None:
    primary = Server(["new"], ("down", "yes"))
    assert read(primary, Server([], (trouble,))) == {"session": "s1", "ids": ["new"], "degraded": []}
    assert primary.closed == 1


def test_without_any_server_it_is_an_honest_refusal_in_time() -> None:
    with pytest.raises(Refusal) as caught:
        read(Server([], ("hangs",)), Server([], ("hangs",)), deadline=0.15)
    assert (caught.value.status, caught.value.retry_after) == (503, 1)


def test_the_control_without_the_standby_reads_nothing() -> None:
    with pytest.raises(Refusal):
        read(Server([], ("down",)), None)


def test_a_stranger_is_refused_by_either() -> None:
    standby = Server(["old"])
    with pytest.raises(Refusal, match="someone else"):
        read(Server([]), standby, subject="bob")
    assert standby.asked == 0
