"""The HTTP interface of the queue over a table of one connection that is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg_pool import PoolTimeout, TooManyRequests

from blackstart.load.outcome import of_answer
from sut.app.service import jobs, jobs_api
from sut.app.service.api import Parts, make_app
from sut.app.service.config import Settings
from sut.app.service.database import CROWDED, Pool, make_pool
from sut.app.service.jobs import Jobs
from sut.app.service.metrics import Metrics
from sut.app.service.readiness import Readiness
from sut.load import load, token

from .fakes import FakeIngester, FakeRunner, NoEmbedder
from .test_api import SECRET

BODY = {"session": "s1", "input": "Summarise this."}


@dataclass
class FakeTable:
    """A pool and its connection: knows ACCEPT, READ, LIST and QUIET, for one user."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: list[Exception] = field(default_factory=list)
    closed: int = 0
    full: type[Exception] | None = None
    quiet: float = 0.0
    found: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[FakeTable]:
        if self.full:
            raise self.full
        yield self

    async def close(self) -> None:
        self.closed += 1

    async def execute(self, query: str, values: Any = None) -> FakeTable:
        if self.broken:
            raise self.broken.pop(0)
        self.found = self._answer(query, values)
        return self

    async def fetchone(self) -> dict[str, Any] | None:
        return self.found[0] if self.found else None

    async def fetchall(self) -> list[dict[str, Any]]:
        return self.found

    def _answer(self, query: str, values: Any) -> list[dict[str, Any]]:
        if query == jobs.ACCEPT:
            known = {"status": "queued", "deliveries": 0, "reason": None, "question": None, "asked": 0}
            row = self.rows.setdefault(
                values["id"], {**known, **values, "trace_id": values["trace"], "answer": None}
            )
            row["asked"] += 1
            return [row]
        if query == jobs.READ:
            return [row for row in self.rows.values() if row["id"] == values[1] and row["sub"] == values[0]]
        if query == jobs.QUIET:
            return [{"seconds": self.quiet}] if self.rows else []
        assert query == jobs.LIST
        return [{**row, "stored": row["answer"] is not None} for row in self.rows.values()]


@pytest.fixture
def table() -> FakeTable:
    return FakeTable()


@pytest.fixture
def client(table: FakeTable) -> Iterator[TestClient]:
    metrics = Metrics()
    app = make_app(metrics, interface=(jobs_api.routes,))
    pool = make_pool("postgresql://nowhere/", name="unused", size=1, check_timeout=1)
    app.state.parts = Parts(
        Settings(jwt_secret=SECRET), metrics, FakeRunner(), Readiness(pool, NoEmbedder()), {}, FakeIngester()
    )
    app.state.jobs = Jobs(cast(Pool, table), deadline=4.0)
    with TestClient(app) as made:
        made.headers["Authorization"] = f"Bearer {token('ann', 60, SECRET)}"
        made.headers["Idempotency-Key"] = "k/1"
        yield made


def test_a_job_is_accepted_with_its_place(client: TestClient) -> None:
    answer = client.post("/jobs", json=BODY)
    assert answer.status_code == 202
    assert answer.headers["Location"] == "/jobs/k%2F1"
    accepted = answer.json()
    assert (accepted["id"], accepted["status"], accepted["kind"]) == ("k/1", "queued", "summary")
    assert not accepted["replayed"]
    assert client.post("/jobs", json=BODY).json()["replayed"]


def test_a_job_without_a_session_is_one_of_its_own(client: TestClient, table: FakeTable) -> None:
    sessions = {client.post("/jobs", json={"input": "x"}).json()["session"] for _ in range(2)}
    other = client.post("/jobs", json={"input": "x"}, headers={"Idempotency-Key": "k2"}).json()["session"]
    # Not by its key, which somebody else may have as a session.
    assert sessions == {table.rows["k/1"]["session"]}
    assert all(session.startswith("job-") for session in (*sessions, other)) and other not in sessions


def test_a_key_belongs_to_one_job(client: TestClient) -> None:
    client.post("/jobs", json=BODY)
    assert client.post("/jobs", json={**BODY, "input": "Another."}).status_code == 422


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": "x" * 8001}, {**BODY, "kind": "mine bitcoin"}])
def test_what_is_no_job_is_refused(client: TestClient, table: FakeTable, body: dict[str, str]) -> None:
    assert client.post("/jobs", json=body).status_code == 422
    assert table.rows == {}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/jobs"), ("GET", "/jobs"), ("GET", "/jobs/k1"), ("POST", "/jobs/k1/resume")],
)
def test_nobody_gets_in_without_a_token(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path, headers={"Authorization": ""}).status_code == 401


def test_a_job_is_read_by_its_owner_only(client: TestClient, table: FakeTable) -> None:
    key = {"Idempotency-Key": "k1"}
    client.post("/jobs", json=BODY, headers=key)
    table.rows["k1"].update(
        status="done", answer="short", degraded=["fallback-model"], model="m", done_by="worker-1"
    )
    found = client.get("/jobs/k1").json()
    assert found["result"] == {"answer": "short", "model": "m", "worker": "worker-1"}
    assert found["degraded"] == ["fallback-model"]
    other = {"Authorization": f"Bearer {token('bob', 60, SECRET)}"}
    assert client.get("/jobs/k1", headers=other).status_code == 404


def test_a_broken_connection_is_replaced_once(client: TestClient, table: FakeTable) -> None:
    table.broken = [psycopg.OperationalError("gone")]
    assert client.post("/jobs", json=BODY).status_code == 202
    table.broken = [psycopg.OperationalError("gone"), psycopg.OperationalError("gone")]
    answer = client.post("/jobs", json=BODY)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    # It may have been committed before the connection broke.
    assert "X-Not-Applied" not in answer.headers
    assert table.closed == 3


@pytest.mark.parametrize(
    ("full", "said"), [(PoolTimeout, "the database does not answer"), (TooManyRequests, CROWDED)]
)
def test_a_job_that_got_no_connection_is_certain_not_to_be_accepted(
    client: TestClient, table: FakeTable, full: type[Exception], said: str
) -> None:
    table.full = full
    answer = client.post("/jobs", json=BODY)
    assert (answer.status_code, answer.json()["detail"]) == (503, said)
    assert (answer.headers["Retry-After"], answer.headers["X-Not-Applied"]) == ("1", "true")


class Addresses:
    """Stands in for a running stack."""

    run_id = "r1"

    def url(self, *_: str) -> str:
        return "http://127.0.0.1:1"

    def address(self, *_: str) -> tuple[str, int]:
        return "127.0.0.1", 1

    def role_map(self, _: str) -> dict[str, str]:
        return {}


def test_the_load_counts_a_job_as_lost_that_is_acknowledged_and_never_done(
    client: TestClient, table: FakeTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path))
    plan = load(cast(Any, Addresses())).at_rates({"job": 5})
    job: Any = next(operation for operation in plan.operations if operation.f == "job")
    final: Any = next(operation for operation in plan.closing if operation.key_from == "job")

    def ask(operation: Any, key: str) -> Any:
        fill = {"session": "job-r1-0", "id": key, "prompt": "Why?"}
        headers = {"Idempotency-Key": key}
        body = {name: text.format(**fill) for name, text in (operation.body or {}).items()}
        path = operation.path.format(**fill)
        answer = client.request(operation.method, path, json=body or None, headers=headers)
        lower = {name.lower(): text for name, text in answer.headers.items()}
        return of_answer(operation, answer.status_code, lower, answer.content, key)

    assert [ask(job, key).type for key in ("k1", "k2")] == ["ok", "ok"]
    table.rows["k1"].update(status="done", answer="short")
    assert ask(final, "").type != "ok"
    table.quiet = 15.0
    read = ask(final, "")
    assert (read.type, read.ids) == ("ok", ["k1"])
