"""The parts put together: who shares a pool with whom, and how a process ends."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from psycopg_pool import PoolTimeout

from blackstart.platforms.waiting import wait_for
from sut.app.service import main
from sut.app.service.api import Parts
from sut.app.service.config import Settings
from sut.app.service.health import report
from sut.app.service.schema import VERSION
from sut.load import token

ROOT = Path(__file__).parents[2]
SECRET = "a secret of at least thirty-two bytes"


class FakeConnection:
    """A database whose schema is made, and whose documents all have their vectors."""

    async def execute(self, query: str, *_: object) -> FakeConnection:
        return self

    async def fetchone(self) -> dict[str, object]:
        return {"made": True, "version": VERSION, "position": 0, "seconds": time.time()}

    async def fetchall(self) -> list[dict[str, object]]:
        return []


@dataclass
class FakePool:
    """Lends `size` connections at a time."""

    size: int
    name: str = "fake"
    places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.places = asyncio.Semaphore(self.size)

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[FakeConnection]:
        try:
            async with asyncio.timeout(timeout):
                await self.places.acquire()
        except TimeoutError:
            raise PoolTimeout from None
        try:
            yield FakeConnection()
        finally:
            self.places.release()

    async def open(self, wait: bool) -> None:
        """As AsyncConnectionPool."""

    async def close(self, timeout: float) -> None:
        """As AsyncConnectionPool."""

    def get_stats(self) -> dict[str, int]:
        """As AsyncConnectionPool."""
        return {}


def test_slow_turns_on_every_connection_do_not_make_a_replica_unready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pools: dict[str, FakePool] = {}

    def make_pool(dsn: str, *, name: str, size: int, **_: Any) -> FakePool:
        return pools.setdefault(name, FakePool(size))

    monkeypatch.setattr(main, "make_pool", make_pool)
    app = main.make_service(Settings(jwt_secret=SECRET))

    async def go() -> None:
        async with app.router.lifespan_context(app), AsyncExitStack() as turns:
            for _ in range(pools["turns"].size):
                await turns.enter_async_context(pools["turns"].connection(1.0))
            parts: Parts = app.state.parts
            parts.readiness.reason = "not looked yet"
            parts.readiness.wake()
            async with asyncio.timeout(5):
                while not parts.readiness.ready:
                    await asyncio.sleep(0.01)
            found = await report({"postgres": parts.dependencies["postgres"]})
            assert found["status"] == "ok"

    asyncio.run(go())
    assert {name: pool.size for name, pool in pools.items()} == {
        "turns": 4,
        "probes": 1,
        "documents": 2,
        "documents-primary": 2,
        "reading": 2,
    }


def test_a_worker_answers_its_probes_only() -> None:
    paths = {
        role: set(main.make_service(Settings(role=role, jwt_secret=SECRET)).openapi()["paths"])
        for role in ("app", "worker")
    }
    probes = {"/health/live", "/health/ready", "/health", "/metrics"}
    assert paths["worker"] == probes
    assert paths["app"] > probes | {"/chat", "/jobs", "/jobs/{job}", "/jobs/{job}/resume"}


def test_a_worker_consumes_jobs_for_as_long_as_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    @asynccontextmanager
    async def consuming(*_: Any) -> AsyncIterator[None]:
        said.append("begins")
        yield
        said.append("ends")

    monkeypatch.setattr(main, "make_pool", lambda dsn, *, name, size, **_: FakePool(size))
    monkeypatch.setattr(main, "consuming", consuming)

    async def serve(role: str) -> None:
        app = main.make_service(Settings(role=role, jwt_secret=SECRET))
        async with app.router.lifespan_context(app):
            said.append(f"{role} serves")

    asyncio.run(serve("worker"))
    asyncio.run(serve("app"))
    assert said == ["begins", "worker serves", "ends", "app serves"]


@dataclass(frozen=True)
class Server:
    """A process of tests/sut/draining.py."""

    process: subprocess.Popen[str]
    port: int

    def ask(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        """One request on a connection of its own; raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            body = json.dumps({"session": "s1", "message": "How?"}) if method == "POST" else None
            headers = {"Authorization": f"Bearer {token('ann', 60, SECRET)}", "Idempotency-Key": "k1"}
            connection.request(method, path, body, {**headers, "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def says(self) -> str:
        """The next line that the process prints; pytest's own limit bounds the wait."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def server() -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.sut.draining", SECRET]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process, int(process.stdout.readline()))
        finally:
            process.kill()


@pytest.mark.timeout(60)
def test_a_process_told_to_end_is_unready_first_and_finishes_what_it_has_begun(server: Server) -> None:
    assert wait_for("the first answer", lambda: server.ask("GET", "/health/ready")[0], limit="20s") == 200
    with ThreadPoolExecutor(1) as other:
        begun = other.submit(server.ask, "POST", "/chat")
        assert server.says() == "turn begun"
        server.process.send_signal(signal.SIGTERM)

        def unready() -> dict[str, Any] | None:
            status, shown = server.ask("GET", "/health/ready")
            return shown if status == 503 else None

        assert wait_for("503 on /health/ready", unready, limit="5s")["reason"] == "draining"
        # The turn ends only when the server has stopped accepting: it is not cut off.
        status, shown = begun.result(timeout=15)
    assert (status, shown["answer"]) == (200, "finished")
    assert server.process.wait(timeout=10) == 0
