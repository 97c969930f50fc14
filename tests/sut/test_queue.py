"""The queue on a real Postgres and a real Redis: nothing accepted is lost, and nothing is stored twice."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import redis as synchronous
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from blackstart.platforms.engine import connect
from blackstart.platforms.waiting import wait_for
from blackstart.stack.images import ensure_images
from sut.app.service import approval
from sut.app.service.approval import Approvals
from sut.app.service.database import Pool, make_pool
from sut.app.service.job_metrics import JobMetrics
from sut.app.service.jobs import Decision, Jobs, NewJob
from sut.app.service.leases import LeaseLost, Leases, Verdict
from sut.app.service.relay import Relay
from sut.app.service.retention import Retention
from sut.app.service.state import Answer
from sut.app.service.stream import STREAM, JobStream
from sut.app.service.work import Jobwork
from sut.app.service.worker import Worker
from sut.stack import stack

from .fakes import FakeModel, FakeRunner, models

pytestmark = pytest.mark.integration
LEASE = 0.4
DONE = Answer("short", ("fallback-model",), "model-1")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A throwaway Redis from the stack's own image; its port on 127.0.0.1."""
    [image] = [image for image in stack.images() if image.name == "redis"]
    tag = ensure_images([image], progress=print)["redis"]
    run_id = f"test-{secrets.token_hex(4)}"
    container = connect().containers.run(
        tag,
        ["redis-server", "--save", "", "--protected-mode", "no"],
        entrypoint=["/usr/bin/tini", "--"],
        detach=True,
        name=f"bs-{run_id}-queue",
        labels={"blackstart.run": run_id},
        ports={"6379/tcp": ("127.0.0.1", 0)},
    )
    try:
        container.reload()
        [published] = container.ports["6379/tcp"] or []
        number = int(published["HostPort"])
        with synchronous.Redis(port=number) as client:
            wait_for("a Redis that answers", client.ping, limit="20s")
        yield number
    finally:
        container.remove(force=True, v=True)


@dataclass
class Bench:
    """One queue, emptied; any number of workers."""

    pool: Pool
    redis: Redis
    jobs: Jobs

    async def accept(self, id: str = "k1", kind: str = "summary", **more: str) -> dict[str, Any]:
        known = {"subject": "ann", "session": "s1", "input": "How?", "trace_id": "0" * 32}
        return await self.jobs.accept(NewJob(id=id, kind=kind, **known | more))

    async def seq(self, id: str = "k1") -> int:
        return int((await self.rows(f"SELECT seq FROM jobs WHERE id = '{id}'"))[0]["seq"])

    async def rows(self, query: str) -> list[dict[str, Any]]:
        async with self.pool.connection() as conn:
            return await (await conn.execute(query)).fetchall()

    def leases(self, worker: str = "worker-1", **more: Any) -> Leases:
        return Leases(self.pool, worker, lease=LEASE, republish=0.4, most=3, **more)

    def stream(self, worker: str = "worker-1") -> JobStream:
        return JobStream(self.redis, worker, timeout=2)

    def relay(self, **more: Any) -> Relay:
        metrics = JobMetrics(CollectorRegistry())
        return Relay(self.pool, self.stream(), metrics, after=0.4, every=0.05, **more)

    def retention(self, keep: float = 60.0) -> Retention:
        return Retention(self.pool, JobMetrics(CollectorRegistry()), keep)

    def worker(self, name: str, model: FakeModel, **leases: Any) -> Worker:
        asking = models(model, FakeModel("model-2"), timeout=4)
        work = Jobwork(FakeRunner(), asking, Approvals(self.pool, asking, approval.build()))
        metrics = JobMetrics(CollectorRegistry())
        return Worker(
            self.stream(name),
            self.leases(name, **leases),
            work,
            metrics,
            ready=lambda: True,
            heartbeat=LEASE / 4,
        )

    async def status(self, id: str, wanted: str, seconds: float = 10) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while (found := await self.jobs.read(id, "ann"))["status"] != wanted:
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def bench(dsn: str, port: int) -> AsyncIterator[Bench]:
    redis = Redis(port=port)
    async with make_pool(dsn, name="queue", size=8, check_timeout=1) as pool:
        async with pool.connection() as conn:
            await conn.execute("TRUNCATE jobs, job_results")
        await redis.flushall()
        try:
            yield Bench(pool, redis, Jobs(pool, 4.0))
        finally:
            await redis.aclose()


@asynccontextmanager
async def running(*parts: Relay | Worker) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(part.close(0.1) for part in parts if isinstance(part, Worker)))


def test_an_accepted_job_is_done_once_by_one_of_two_workers(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            ids = [f"k{n}" for n in range(20)]
            model = FakeModel()
            workers = (b.worker("worker-1", model), b.worker("worker-2", model))
            async with running(b.relay(), b.relay(), *workers):
                await asyncio.gather(*(b.accept(id) for id in ids for _ in range(2)))
                for id in ids:
                    assert (await b.status(id, "done"))["result"]["answer"] == "hello there"
            assert sorted((await b.jobs.of_session("s1", "ann", 0))["ids"]) == sorted(ids)
            assert await b.redis.xlen(STREAM) == 0

    asyncio.run(go())


def test_an_accepted_job_survives_the_loss_of_redis(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            relay = b.relay()
            await b.accept()
            await relay.step()
            assert await b.redis.xlen(STREAM) == 1
            await b.redis.flushall()
            async with running(relay, b.worker("worker-1", FakeModel())):
                await b.status("k1", "done")

    asyncio.run(go())


def test_who_is_told_to_stop_stops_wherever_it_is(dsn: str, port: int) -> None:
    points = random.Random(3)

    async def go() -> None:
        async with bench(dsn, port) as b:
            for number in range(60):
                parts = (b.relay(), b.worker("worker-1", FakeModel()))
                await b.accept(f"k{number}")
                tasks = [asyncio.create_task(part.run()) for part in parts]
                await asyncio.sleep(points.choice([0, 0.005, 0.03]) * points.random())
                for task in tasks:
                    task.cancel()
                done, _ = await asyncio.wait(tasks, timeout=5)
                assert len(done) == 2, number
                await parts[1].close(0.1)

    asyncio.run(go())


def test_without_the_relays_repetition_it_does_not(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            relay = b.relay(again=False)
            await b.accept()
            await relay.step()
            await b.redis.flushall()
            async with running(relay, b.worker("worker-1", FakeModel())):
                with pytest.raises(TimeoutError):
                    await b.status("k1", "done", seconds=2)

    asyncio.run(go())


def test_a_lost_workers_job_is_taken_over_and_its_late_result_refused(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            await b.accept()
            relay, zombie = b.relay(), b.leases("worker-1")
            await relay.step()
            [hint] = await b.stream("worker-1").fetch(1, wait=1)
            verdict, claimed = await zombie.claim(hint.job)
            assert verdict is Verdict.TAKE
            assert claimed is not None
            assert (await b.leases("worker-2").claim(hint.job))[0] is Verdict.HELD
            async with running(relay, b.worker("worker-2", FakeModel())):
                await b.status("k1", "done")
            assert not await zombie.renew(claimed)
            with pytest.raises(LeaseLost):
                await zombie.store(claimed, DONE)
            assert (await b.jobs.of_session("s1", "ann", 0))["ids"] == ["k1"]
            await replace(zombie, fencing=False).store(claimed, DONE)
            assert (await b.jobs.of_session("s1", "ann", 0))["ids"] == ["k1", "k1"]

    asyncio.run(go())


def test_without_reclaim_a_lost_workers_job_stays_where_it_is(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            await b.accept()
            assert (await b.leases("worker-1").claim(await b.seq()))[0] is Verdict.TAKE
            async with running(b.relay(), b.worker("worker-2", FakeModel(), reclaim=False)):
                with pytest.raises(TimeoutError):
                    await b.status("k1", "done", seconds=3)

    asyncio.run(go())


def test_a_job_that_kills_its_workers_is_dead_with_the_reason(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            await b.accept()
            relay, worker, seq = b.relay(), b.worker("worker-1", FakeModel()), await b.seq()
            for _ in range(3):
                async with asyncio.timeout(5):
                    while (await b.leases("worker-9").claim(seq))[0] is not Verdict.TAKE:
                        await asyncio.sleep(0.05)
            async with running(relay, worker):
                found = await b.status("k1", "dead")
            assert found["reason"] == "given up after 3 deliveries: worker-9 lost its lease"
            assert worker.metrics.dead._value.get() == 1

    asyncio.run(go())


def test_a_job_waits_for_the_models_without_being_given_up(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            await b.accept()
            leases, seq = b.leases(), await b.seq()
            for _ in range(5):
                verdict, claimed = await leases.claim(seq)
                assert verdict is Verdict.TAKE
                assert claimed is not None
                await leases.give_back(claimed, "no model answers", delay=0, counted=False)
            found = await b.jobs.read("k1", "ann")
            assert (found["status"], found["deliveries"], found["reason"]) == (
                "queued",
                0,
                "no model answers",
            )
            # Before its time a hint, which may be an old one, is of no use.
            verdict, claimed = await leases.claim(seq)
            assert claimed is not None
            await leases.give_back(claimed, "no model answers", delay=60, counted=False)
            assert (await leases.claim(seq))[0] is Verdict.DROP

    asyncio.run(go())


def test_a_graph_that_waits_at_an_interrupt_is_resumed_on_another_worker(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            relay, models = b.relay(), (FakeModel(), FakeModel())
            await b.accept(kind="approval")
            async with running(relay, b.worker("worker-1", models[0])):
                assert (await b.status("k1", "waiting"))["question"] == "hello there"
            async with running(relay, b.worker("worker-2", models[1])):
                for _ in range(2):
                    await b.jobs.resume("k1", "ann", "d1", Decision(True))
                found = await b.status("k1", "done")
                await b.jobs.resume("k1", "ann", "d1", Decision(True))
            assert found["result"]["answer"] == "hello there"
            assert found["result"]["worker"] == "worker-2"
            assert [model.calls for model in models] == [1, 0]
            assert (await b.jobs.of_session("s1", "ann", 15))["ids"] == ["k1"]

    asyncio.run(go())


def test_a_full_redis_keeps_the_stream_and_evicts_answers(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            await b.redis.config_set("maxmemory", "4mb")
            await b.redis.config_set("maxmemory-policy", "volatile-lru")
            try:
                stream = b.stream()
                await stream.prepare()
                await stream.publish(range(100))
                for number in range(8000):
                    await b.redis.set(f"answer:{number}", "x" * 1000, ex=300)
                assert (await b.redis.info("stats"))["evicted_keys"] > 0
                assert await b.redis.xlen(STREAM) == 100
            finally:
                await b.redis.config_set("maxmemory", "0")

    asyncio.run(go())


def test_settled_jobs_go_with_their_results_once_they_are_old_and_no_others(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            # Accepted an hour ago all of them; "young" was settled just now.
            for id in ("done", "young", "owed"):
                await b.accept(id)
            await b.accept("waiting", kind="approval")
            leases = b.leases()
            for id in ("done", "young"):
                _, claimed = await leases.claim(await b.seq(id))
                assert claimed is not None
                await leases.store(claimed, DONE)
            _, claimed = await leases.claim(await b.seq("waiting"))
            assert claimed is not None
            await leases.ask(claimed, "job:1:1", "May I?")
            await b.rows(
                "UPDATE jobs SET accepted_at = now() - interval '1 hour', "
                "settled_at = settled_at - CASE id WHEN 'young' THEN interval '0' ELSE interval '1 hour' END "
                "RETURNING seq"
            )
            await b.retention().step()
            left = await b.rows("SELECT id FROM jobs ORDER BY id")
            assert [row["id"] for row in left] == ["owed", "waiting", "young"]
            assert len(await b.rows("SELECT seq FROM job_results")) == 1
            assert not (await b.accept("done"))["replayed"], "its key is free"

    asyncio.run(go())


def test_an_approvals_checkpoints_go_with_its_job(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            await b.accept(kind="approval")
            async with running(b.relay(), b.worker("worker-1", FakeModel())):
                await b.status("k1", "waiting")
                await b.jobs.resume("k1", "ann", "d1", Decision(True))
                await b.status("k1", "done")
            thread = (await b.rows("SELECT thread FROM jobs"))[0]["thread"]
            kept = f"SELECT thread_id FROM checkpoints WHERE thread_id = '{thread}'"
            assert await b.rows(kept)
            await b.rows("UPDATE jobs SET settled_at = now() - interval '1 hour' RETURNING seq")
            await b.retention().step()
            assert await b.rows(kept) == []

    asyncio.run(go())


def test_a_conversation_at_rest_loses_its_checkpoints_and_keeps_its_turns(dsn: str, port: int) -> None:
    async def go() -> None:
        async with bench(dsn, port) as b:
            await b.rows("DELETE FROM sessions WHERE session IN ('resting', 'busy') RETURNING session")
            for session, age in (("resting", "1 hour"), ("busy", "1 second")):
                await b.rows(
                    f"INSERT INTO sessions (session, sub, touched) VALUES ('{session}', 'ann', "
                    f"now() - interval '{age}') RETURNING session"
                )
                await b.rows(
                    "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) "
                    f"VALUES ('chat:{session}', '1', '{{}}') RETURNING thread_id"
                )
            assert await b.retention().conversations() >= 1
            left = await b.rows(
                "SELECT thread_id FROM checkpoints WHERE thread_id IN ('chat:resting', 'chat:busy')"
            )
            assert [row["thread_id"] for row in left] == ["chat:busy"]
            assert len(await b.rows("SELECT session FROM sessions WHERE session IN ('resting', 'busy')")) == 2
            await b.rows("DELETE FROM checkpoints WHERE thread_id = 'chat:busy' RETURNING thread_id")

    asyncio.run(go())
