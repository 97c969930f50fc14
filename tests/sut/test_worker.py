"""The worker over leases and a stream in memory: what is stored, given back, dropped, and what is not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError as RedisGone

from sut.app.service.approval import Question
from sut.app.service.errors import ModelsUnavailable, Refusal
from sut.app.service.job_metrics import JobMetrics
from sut.app.service.leases import Claim, Leases, Verdict
from sut.app.service.state import Answer
from sut.app.service.stream import Hint, JobStream
from sut.app.service.usage import Usage
from sut.app.service.worker import Work, Worker

from .queuefakes import FakeLeases, FakeStream, claim

HINT = Hint(b"1-0", 7)
DONE = Answer("short", (), "model-1")


async def done(_: Claim) -> Answer:
    """Work that is done at once."""
    return DONE


async def never(_: Claim) -> Answer:
    """Work without an end."""
    await asyncio.Event().wait()
    raise AssertionError


def failing(error: Exception) -> Work:
    """Work that fails."""

    async def work(_: Claim) -> Answer:
        raise error

    return work


def make(leases: FakeLeases, stream: FakeStream, work: Work = done, **more: Any) -> Worker:
    known: dict[str, Any] = {"ready": lambda: True, "pause": 0.0}
    return Worker(
        cast(JobStream, stream),
        cast(Leases, leases),
        work,
        JobMetrics(CollectorRegistry()),
        **known | more,
    )


def value(worker: Worker, name: str, **labels: str) -> float:
    """A sample of the worker's metrics."""
    metric = getattr(worker.metrics, name)
    return float((metric.labels(**labels) if labels else metric)._value.get())


def test_a_job_is_stored_and_its_hint_dropped() -> None:
    leases, stream = FakeLeases(), FakeStream()
    worker = make(leases, stream)
    asyncio.run(worker.follow(HINT))
    assert leases.written == [("store", "short")]
    assert stream.dropped == [HINT]
    assert value(worker, "deliveries", kind="summary") == 1


@pytest.mark.parametrize(
    ("verdict", "dropped", "dead"),
    [(Verdict.DROP, [HINT], 0), (Verdict.BURY, [HINT], 1), (Verdict.HELD, [], 0)],
)
def test_a_hint_of_a_job_that_is_not_to_be_had(verdict: Verdict, dropped: list[Hint], dead: int) -> None:
    leases, stream = FakeLeases(verdict), FakeStream()
    worker = make(leases, stream)
    asyncio.run(worker.follow(HINT))
    assert (leases.written, stream.dropped, value(worker, "dead")) == ([], dropped, dead)


def test_work_ends_as_soon_as_the_lease_is_known_to_be_lost() -> None:
    leases, stream = FakeLeases(lost=True), FakeStream()
    worker = make(leases, stream, never, heartbeat=0.001)

    async def go() -> None:
        async with asyncio.timeout(5):
            await worker.follow(HINT)

    asyncio.run(go())
    assert leases.written == []
    assert value(worker, "fenced") == 1


def test_a_result_that_comes_after_the_lease_was_lost_is_refused() -> None:
    leases, stream = FakeLeases(lost=True), FakeStream()
    worker = make(leases, stream)
    asyncio.run(worker.follow(HINT))
    assert leases.written == []
    assert value(worker, "fenced") == 1


def test_a_lease_is_renewed_and_its_hint_touched_while_the_work_lasts() -> None:
    leases, stream = FakeLeases(), FakeStream()

    async def work(_: Claim) -> Answer:
        await leases.renewed.wait()
        while not stream.kept:
            await asyncio.sleep(0)
        return DONE

    asyncio.run(make(leases, stream, work, heartbeat=0.001).follow(HINT))
    assert stream.kept[0] == HINT
    assert leases.written == [("store", "short")]


def test_a_redis_that_is_away_ends_no_work() -> None:
    leases = FakeLeases()
    stream = FakeStream(trouble=lambda call: RedisGone("gone") if call == "keep" else None)

    async def work(_: Claim) -> Answer:
        while stream.calls.count("keep") < 3:
            await asyncio.sleep(0)
        return DONE

    asyncio.run(make(leases, stream, work, heartbeat=0.001).follow(HINT))
    assert leases.written == [("store", "short")]


@pytest.mark.parametrize("error", [ModelsUnavailable("no model"), Refusal(422, "no"), Refusal(503, "no")])
def test_what_was_asked_in_vain_is_billed_with_the_jobs_end(error: ModelsUnavailable | Refusal) -> None:
    leases, error.usage = FakeLeases(), Usage(1, 2, 3)
    asyncio.run(make(leases, FakeStream(), failing(error)).follow(HINT))
    assert leases.billed == error.usage


@pytest.mark.parametrize("outcome", [replace(DONE, usage=Usage(1, 2, 3)), Question("t", "q", Usage(1, 2, 3))])
def test_what_the_work_cost_is_billed_with_its_outcome(outcome: Answer | Question) -> None:
    async def work(_: Claim) -> Answer | Question:
        return outcome

    leases = FakeLeases()
    asyncio.run(make(leases, FakeStream(), work).follow(HINT))
    assert leases.billed == outcome.usage


def test_a_dependency_that_is_down_is_waited_for_longer_each_time_and_not_counted() -> None:
    given = []
    for epoch in (1, 3, 50):
        for error in (ModelsUnavailable("no model"), Refusal(503, "no model")):
            leases = FakeLeases(claimed=claim(epoch=epoch))
            asyncio.run(make(leases, FakeStream(), failing(error)).follow(HINT))
            given += leases.written
    assert given[::2] == given[1::2]
    assert given[::2] == [("give back", "no model", delay, False) for delay in (0.5, 2.0, 8.0)]


def test_a_job_that_fails_by_itself_uses_its_deliveries_up() -> None:
    leases, stream = FakeLeases(), FakeStream()
    asyncio.run(make(leases, stream, failing(KeyError("poison"))).follow(HINT))
    assert leases.written == [("give back", "KeyError", 0.5, True)]
    assert stream.dropped == [HINT]


def test_a_job_that_is_never_done_in_time_uses_its_deliveries_up() -> None:
    leases = FakeLeases()
    asyncio.run(make(leases, FakeStream(), never, deadline=0.01).follow(HINT))
    assert leases.written == [("give back", "TimeoutError", 0.5, True)]


def test_a_job_that_is_refused_has_failed() -> None:
    leases = FakeLeases()
    asyncio.run(make(leases, FakeStream(), failing(Refusal(403, "someone else's"))).follow(HINT))
    assert leases.written == [("end", "failed", "someone else's")]


def test_a_question_is_recorded_with_its_thread() -> None:
    async def asks(_: Claim) -> Question:
        return Question("job:7:1", "Send it?")

    leases = FakeLeases()
    asyncio.run(make(leases, FakeStream(), asks).follow(HINT))
    assert leases.written == [("ask", "job:7:1", "Send it?")]


def test_a_result_is_stored_on_a_second_connection() -> None:
    leases = FakeLeases(broken=[psycopg.OperationalError("gone")])
    asyncio.run(make(leases, FakeStream()).follow(HINT))
    assert leases.written == [("store", "short")]


def test_a_result_that_cannot_be_stored_leaves_the_job_owed() -> None:
    gone = [psycopg.OperationalError("gone") for _ in range(3)]
    leases, stream = FakeLeases(broken=list(gone)), FakeStream()
    asyncio.run(make(leases, stream).follow(HINT))
    assert leases.written == []
    assert stream.dropped == []


def test_a_worker_that_ends_gives_back_what_it_cannot_finish() -> None:
    leases, stream = FakeLeases(), FakeStream()
    worker = make(leases, stream, never)

    async def go() -> None:
        worker.begin([HINT])
        await asyncio.sleep(0)
        await worker.close(0.01)

    asyncio.run(go())
    assert leases.written == [("give back", "drained", 0.0, False)]
    assert stream.dropped == [HINT]


def test_a_worker_that_ends_finishes_what_it_can() -> None:
    leases = FakeLeases()
    worker = make(leases, FakeStream())

    async def go() -> None:
        worker.begin([HINT])
        await worker.close(5.0)

    asyncio.run(go())
    assert leases.written == [("store", "short")]


def test_what_a_lost_worker_left_comes_first_but_is_looked_for_once_a_heartbeat_only() -> None:
    now = [0.0]
    stream = FakeStream(new=[Hint(b"2-0", 8)], left=[HINT])
    worker = make(FakeLeases(), stream, clock=lambda: now[0], heartbeat=1.0)

    async def go() -> None:
        assert await worker.hints(4) == [HINT]
        assert await worker.hints(4) == [Hint(b"2-0", 8)]
        stream.left, stream.new = [HINT], [HINT]
        assert stream.calls == ["reclaim", "fetch"]
        now[0] = 1.0
        assert await worker.hints(4) == [HINT]
        assert stream.calls == ["reclaim", "fetch", "reclaim"]

    asyncio.run(go())


def test_without_reclaim_nothing_is_taken_over() -> None:
    stream = FakeStream(new=[HINT], left=[HINT])

    async def go() -> None:
        await make(FakeLeases(reclaim=False), stream).hints(4)

    asyncio.run(go())
    assert stream.calls == ["fetch"]


def test_a_worker_takes_no_more_than_it_has_slots_for() -> None:
    stream = FakeStream(new=[Hint(b"%d-0" % n, n) for n in range(9)])
    worker = make(FakeLeases(), stream, never, slots=4)

    async def go() -> None:
        running = asyncio.create_task(worker.run())
        while len(stream.new) > 5:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await worker.close(0)

    asyncio.run(go())
    assert len(stream.new) == 5


def test_a_worker_that_is_not_ready_takes_nothing() -> None:
    stream = FakeStream(new=[HINT])
    worker = make(FakeLeases(), stream, ready=lambda: False)

    async def go() -> None:
        running = asyncio.create_task(worker.run())
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(go())
    assert stream.calls == []


def test_a_worker_outlives_a_redis_that_is_away() -> None:
    stream = FakeStream(new=[HINT])
    stream.trouble = lambda call: RedisGone("gone") if len(stream.calls) < 3 else None
    leases = FakeLeases()
    worker = make(leases, stream)

    async def go() -> None:
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(5):
            while not leases.written:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await worker.close(1)

    asyncio.run(go())
    assert leases.written == [("store", "short")]
