"""Who is let in: deadlines, rates, places at work and in line, and what a client is told."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from redis.asyncio import Redis

from sut.app.service import deadline
from sut.app.service.admission import Gate, Sessions
from sut.app.service.api import Parts, make_app
from sut.app.service.breaker import Breaker
from sut.app.service.config import Settings
from sut.app.service.database import make_pool
from sut.app.service.errors import BUSY, Refusal
from sut.app.service.limits import LimitMetrics, Limits
from sut.app.service.metrics import Metrics
from sut.app.service.rate import RateLimit
from sut.app.service.readiness import Readiness
from sut.app.service.state import Answer, Turn
from sut.load import token

from .fakes import FakeIngester, FakeRunner, NoEmbedder, turn
from .test_api import BODY, SECRET
from .test_rate import FakeRedis


def test_beyond_work_and_line_a_turn_is_refused_at_once() -> None:
    refused: list[str] = []

    async def go() -> None:
        gate = Gate(2, 1, within=60, on_refused=refused.append)
        await gate.enter()
        await gate.enter()
        waiting = asyncio.create_task(gate.enter())
        while not gate.waiting:
            await asyncio.sleep(0)
        with pytest.raises(Refusal) as caught:
            await gate.enter()
        assert (caught.value.status, caught.value.not_applied) == (503, True)
        assert caught.value.headers["Retry-After"] == "1"
        gate.leave()
        await waiting
        assert (gate.working, gate.waiting) == (2, 0)

    asyncio.run(go())
    assert refused == ["queue-full"]


def test_the_line_is_left_in_time_by_our_limit_or_by_the_callers() -> None:
    refused: list[str] = []

    async def enter(gate: Gate, header: str | None) -> int:
        deadline.begin(header)
        try:
            await gate.enter()
        except Refusal as refusal:
            return refusal.status
        return 200

    async def go() -> list[int]:
        gate = Gate(1, 5, within=0.3, on_refused=refused.append)
        await gate.enter()
        tasks = [asyncio.create_task(enter(gate, header)) for header in (None, "10", "60000")]
        return await asyncio.gather(*tasks)

    assert asyncio.run(go()) == [503, 504, 503]
    assert sorted(refused) == ["deadline", "queue-timeout", "queue-timeout"]


def test_a_turn_that_gives_up_waiting_leaves_no_hole() -> None:
    async def go() -> None:
        gate = Gate(1, 5, within=60)
        await gate.enter()
        gone = asyncio.create_task(gate.enter())
        while not gate.waiting:
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert gate.waiting == 0
        gate.leave()
        await gate.enter()
        assert gate.working == 1

    asyncio.run(go())


def test_the_turns_of_one_session_take_one_place_and_a_short_line() -> None:
    refused: list[str] = []

    async def go() -> None:
        limits = Limits(Gate(2, 0, within=60), sessions=Sessions(2, on_refused=refused.append))
        asked = [asyncio.create_task(limits.begin(turn(f"k{number}"))) for number in range(7)]
        while sum(each.done() for each in asked) < 5:
            await asyncio.sleep(0)
        for each in asked[3:]:
            with pytest.raises(Refusal, match=BUSY) as caught:
                await each
            assert (caught.value.status, caught.value.not_applied) == (503, True)
        # The other place is another session's.
        await limits.begin(turn(session="s2"))
        for each in asked[:3]:
            await each
            assert limits.gate.working == 2
            limits.end(turn())
        assert limits.gate.working == 1

    asyncio.run(asyncio.wait_for(go(), 10))
    assert refused == ["session-busy"] * 4


def test_who_got_the_session_but_no_place_lets_the_session_go() -> None:
    async def go() -> None:
        limits = Limits(Gate(1, 0))
        await limits.begin(turn(session="s2"))
        for _ in range(2):
            with pytest.raises(Refusal, match="too many turns"):
                await limits.begin(turn())
        limits.end(turn(session="s2"))
        await limits.begin(turn())

    asyncio.run(asyncio.wait_for(go(), 10))


def test_without_bounds_nobody_waits() -> None:
    async def go() -> None:
        gate = Gate()
        for _ in range(100):
            await gate.enter()
        assert gate.working == 100

    asyncio.run(go())


@pytest.mark.parametrize("header", ["0", "-1", "nan"])
def test_a_deadline_that_is_over_is_refused(header: str) -> None:
    async def go() -> None:
        deadline.begin(header)

    with pytest.raises(Refusal) as caught:
        asyncio.run(go())
    assert (caught.value.status, caught.value.not_applied) == (504, True)


@pytest.mark.parametrize(("header", "left"), [(None, 4.0), ("soon", 4.0), ("60000", 4.0), ("1500", 1.5)])
def test_the_sooner_of_the_callers_deadline_and_ours_counts(header: str | None, left: float) -> None:
    async def go() -> float:
        deadline.begin(header)
        with deadline.narrowed(4.0) as limit:
            assert deadline.current(60) == limit
        assert deadline.current(60).ends >= limit.ends
        return limit.ends - limit.began

    assert asyncio.run(go()) == pytest.approx(left, abs=0.01)


@dataclass
class Held(FakeRunner):
    """Answers, or raises, when it is let go."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, turn: Turn, emit: object = None) -> Answer:
        """As TurnRunner."""
        self.turns.append(turn)
        await self.go_on.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def parts() -> Parts:
    pool = make_pool("postgresql://nowhere/", name="unused", size=1, check_timeout=1)
    settings = Settings(node="app-1", zone="a", jwt_secret=SECRET)
    return Parts(settings, Metrics(), FakeRunner(), Readiness(pool, NoEmbedder()), {}, FakeIngester())


def serve(parts: Parts) -> TestClient:
    app = make_app(parts.metrics)
    app.state.parts = parts
    client = TestClient(app)
    client.headers["Authorization"] = f"Bearer {token('ann', 60, SECRET)}"
    client.headers["Idempotency-Key"] = "k1"
    return client


@pytest.fixture
def full(parts: Parts) -> Iterator[TestClient]:
    """A replica with no place left."""
    gate = Gate(1, 0)
    asyncio.run(gate.enter())
    with serve(replace(parts, limits=Limits(gate))) as client:
        yield client


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
def test_a_full_replica_refuses_turns_with_a_status_streams_too(full: TestClient, path: str) -> None:
    answer = full.post(path, json=BODY)
    assert answer.status_code == 503
    assert (answer.headers["retry-after"], answer.headers["x-not-applied"]) == ("1", "true")


@pytest.mark.parametrize("path", ["/health/live", "/health", "/metrics", "/session/s1"])
def test_a_full_replica_is_still_alive(full: TestClient, path: str) -> None:
    assert full.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
def test_a_place_is_given_back_whatever_came_of_the_turn(parts: Parts, path: str) -> None:
    gate = Gate(1, 0)
    runner = cast(FakeRunner, parts.runner)
    with serve(replace(parts, limits=Limits(gate))) as client:
        for outcome in (Answer("hi", (), "model-1"), Refusal(503, "no"), Answer("hi", (), "model-1")):
            runner.outcome = outcome
            client.post(path, json=BODY)
            assert gate.working == 0
    assert len(runner.turns) == 3


@pytest.mark.parametrize("outcome", [Answer("late", (), "model-1"), ValueError("my-private-words")])
def test_a_stream_that_its_client_leaves_holds_its_place_until_the_turn_is_over(
    parts: Parts, caplog: pytest.LogCaptureFixture, outcome: Answer | Exception
) -> None:
    from sut.app.service.api import ChatRequest, chat_stream

    async def go() -> None:
        runner, gate = Held(outcome), Gate(1, 0)
        app = make_app(parts.metrics)
        app.state.parts = replace(parts, runner=runner, limits=Limits(gate))

        @dataclass
        class Asked:
            app: object
            state: object

        @dataclass
        class State:
            subject: str = "ann"
            modes: tuple[str, ...] = ()

        await chat_stream(ChatRequest(**BODY), Asked(app, State()), "k1")  # type: ignore[arg-type]
        # Its body is never read.
        while not runner.turns:
            await asyncio.sleep(0)
        assert gate.working == 1
        runner.go_on.set()
        while gate.working:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(go(), 10))
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_a_user_over_the_rate_is_told_when_to_come_back_and_health_is_not_limited(parts: Parts) -> None:
    redis = FakeRedis(3000)
    rate = RateLimit(cast(Redis, redis), Breaker("redis"), rate=1, burst=1, replicas=1, timeout=1)
    with serve(replace(parts, limits=Limits(rate=rate))) as client:
        for answer in (client.post("/chat", json=BODY), client.get("/session/s1")):
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
            assert answer.headers["x-not-applied"] == "true"
        assert client.get("/health").status_code == 200
        assert client.get("/session/s1", headers={"Authorization": ""}).status_code == 401
    assert len(redis.asked) == 2, "a stranger costs no token"
    assert cast(FakeRunner, parts.runner).turns == []


def test_an_answer_says_that_its_rate_was_decided_here(parts: Parts) -> None:
    redis = FakeRedis(OSError("gone"))
    rate = RateLimit(cast(Redis, redis), Breaker("redis"), rate=9, burst=9, replicas=1, timeout=1)
    with serve(replace(parts, limits=Limits(rate=rate))) as client:
        assert client.post("/chat", json=BODY).json()["degraded"] == ["local-rate-limit", "no-cache"]
        assert client.get("/session/s1").json()["degraded"] == ["local-rate-limit"]
        text = client.get("/metrics").text
    assert 'app_degradations_total{mode="local-rate-limit"} 2.0' in text


def test_a_request_whose_deadline_is_over_is_not_begun(parts: Parts) -> None:
    with serve(parts) as client:
        answer = client.post("/chat", json=BODY, headers={deadline.HEADER: "0"})
    assert (answer.status_code, answer.headers["x-not-applied"]) == (504, "true")
    assert cast(FakeRunner, parts.runner).turns == []


def made(**changes: object) -> tuple[Limits, CollectorRegistry, LimitMetrics]:
    registry = CollectorRegistry()
    metrics = LimitMetrics(registry)
    settings = replace(Settings(), **changes)  # type: ignore[arg-type]
    return metrics.limits(settings, cast(Redis, FakeRedis()), Breaker("redis"), 0.1), registry, metrics


def test_the_drills_own_user_is_far_from_the_limit() -> None:
    settings = Settings()
    assert settings.user_rate >= 4 * 50
    assert settings.user_rate / settings.replicas > 50, "one replica left, and no Redis"
    assert settings.turns_in_work < settings.pool_size, "one is left for reads"
    assert settings.bulkhead < settings.turns_in_work


def test_what_a_variant_takes_away_is_gone() -> None:
    limits, _, metrics = made(without=frozenset({"rate-limit", "shedding", "bulkhead", "retry-budget"}))
    settings = Settings(without=frozenset({"bulkhead", "retry-budget"}))
    assert limits.rate is None

    async def go() -> None:
        bulkhead = metrics.bulkhead("tool", settings)
        for _ in range(50):
            await limits.gate.enter()
            await bulkhead.enter().__aenter__()

    asyncio.run(go())
    budget = metrics.retry_budget("primary", settings)
    assert all(budget.retry() for _ in range(100))


def test_limits_are_measured() -> None:
    limits, registry, metrics = made(turns_in_work=1, turns_in_line=0)

    async def go() -> None:
        await limits.gate.enter()
        with pytest.raises(Refusal):
            await limits.gate.enter()

    asyncio.run(go())
    metrics.retry_budget("primary", Settings()).retry()
    text = generate_latest(registry).decode()
    assert 'app_limited_total{reason="queue-full"} 1.0' in text
    assert "app_turns_in_work 1.0" in text
    assert "app_turns_in_line 0.0" in text
    assert 'app_llm_retries_total{granted="true",provider="primary"} 1.0' in text
    assert 'app_retry_budget{provider="primary"} 0.0' in text
