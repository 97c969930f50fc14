"""What turns and jobs cost, on the bill of their session, on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from sut.app.service import approval
from sut.app.service.approval import Approvals
from sut.app.service.database import Pool
from sut.app.service.errors import Refusal
from sut.app.service.job_metrics import JobMetrics
from sut.app.service.jobs import Decision, Jobs, NewJob
from sut.app.service.leases import LeaseLost, Leases
from sut.app.service.llm import Models
from sut.app.service.stream import Hint, JobStream
from sut.app.service.usage import Price, Usage
from sut.app.service.work import Jobwork
from sut.app.service.worker import Worker

from .fakes import FakeModel, FakeRunner, target, turn
from .queuefakes import FakeStream
from .test_turns import pooled, replica

pytestmark = pytest.mark.integration


def priced(model: FakeModel | None = None) -> Models:
    """One model at a dollar for a million tokens."""
    return Models([replace(target(model or FakeModel()), price=Price(1.0, 1.0))], timeout=1.0)


def test_a_session_is_billed_once_a_turn_and_ends_with_its_budget(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "bill") as pool:
            runner = replica(pool)
            runner = replace(runner, models=priced(), budget_micros=1)
            await runner.run(turn("k1", "bill"))
            await runner.run(turn("k1", "bill"))
            bill = (await runner.read("bill", "ann"))["usage"]
            assert isinstance(bill, dict)
            assert bill["completion_tokens"] == 3
            assert bill["cost_usd"] * 1e6 == bill["prompt_tokens"] + bill["completion_tokens"]
            with pytest.raises(Refusal) as caught:
                await runner.run(turn("k2", "bill"))
            assert (caught.value.status, caught.value.not_applied) == (402, True)
            async with pool.connection() as conn:
                found = await conn.execute("SELECT id FROM admissions WHERE session = 'bill'")
                assert [row["id"] for row in await found.fetchall()] == ["k1"]
                # Admitted by a run that broke off: it is finished, whatever the session cost since.
                await conn.execute(
                    "INSERT INTO admissions (session, id, message, trace_id)"
                    " VALUES ('bill', 'k3', 'How?', '')"
                )
            assert (await runner.run(turn("k3", "bill"))).text == "hello there"

    asyncio.run(go())


def test_what_the_filter_withheld_is_billed_and_its_key_is_no_way_past_the_budget(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "withheld") as pool:
            model = FakeModel(finish="content_filter")
            runner = replace(replica(pool), models=priced(model))
            statuses = []
            for _ in range(4):
                with pytest.raises(Refusal) as caught:
                    await runner.run(turn("k1", "withheld"))
                statuses.append(caught.value.status)
                bill = (await runner.read("withheld", "ann"))["usage"]
                if runner.budget_micros is None:
                    runner = replace(runner, budget_micros=round(bill["cost_usd"] * 1e6) + 1)
            assert statuses == [422, 422, 402, 402]
            assert (model.calls, bill["completion_tokens"]) == (2, 6)

    asyncio.run(go())


def test_a_charged_turn_that_was_answered_later_is_given_again_beyond_the_budget(dsn: str) -> None:
    async def go() -> None:
        async with pooled(dsn, "late") as pool:
            model = FakeModel(finish=None)
            runner = replace(replica(pool), models=priced(model), budget_micros=10_000)
            with pytest.raises(Refusal):
                await runner.run(turn("k1", "late"))
            model.finish = "stop"
            answer = await runner.run(turn("k1", "late"))
            assert await replace(runner, budget_micros=1).run(turn("k1", "late")) == replace(
                answer, replayed=True
            )

    asyncio.run(go())


@dataclass
class Queue:
    """The jobs of the session s1 and a worker without a stream; they cost a dollar a million tokens."""

    pool: Pool
    jobs: Jobs
    leases: Leases

    async def rows(self, query: str) -> list[dict[str, Any]]:
        async with self.pool.connection() as conn:
            return await (await conn.execute(query)).fetchall()

    async def accept(self, id: str, kind: str = "summary", subject: str = "ann") -> int:
        """Accept a job; its number."""
        await self.jobs.accept(NewJob(subject, id, "s1", kind, "How?", "0" * 32))
        return int((await self.rows(f"SELECT seq FROM jobs WHERE id = '{id}'"))[0]["seq"])

    async def work(self, seq: int, budget_micros: int = 1000) -> None:
        """Have a worker follow a hint of the job."""
        models = priced()
        approvals = Approvals(self.pool, models, approval.build())
        work = Jobwork(FakeRunner(), models, approvals, budget_micros=budget_micros)
        metrics, stream = JobMetrics(CollectorRegistry()), cast(JobStream, FakeStream())
        await Worker(stream, self.leases, work, metrics, ready=lambda: True).follow(Hint(b"1-0", seq))

    async def status(self, id: str, subject: str = "ann") -> tuple[str, str]:
        found = await self.jobs.read(id, subject)
        return found["status"], found["reason"] or ""


@asynccontextmanager
async def queued(dsn: str) -> AsyncIterator[Queue]:
    async with pooled(dsn, "jobs") as pool:
        async with pool.connection() as conn:
            await conn.execute("TRUNCATE jobs, job_results, sessions")
        yield Queue(pool, Jobs(pool, 4.0), Leases(pool, "worker-1", lease=4, republish=5, most=5))


def test_a_job_is_on_its_sessions_bill_once(dsn: str) -> None:
    async def go() -> None:
        async with queued(dsn) as queue:
            await queue.work(await queue.accept("k1"))
            asked = await queue.accept("k2", "approval")
            await queue.work(asked)
            await queue.jobs.resume("k2", "ann", "d1", Decision(True))
            # What was begun is finished, whatever the session has cost since.
            await queue.work(asked, budget_micros=1)
            assert [(await queue.status(id))[0] for id in ("k1", "k2")] == ["done", "done"]
            [bill] = await queue.rows("SELECT * FROM sessions")
            assert (bill["session"], bill["sub"], bill["completion_tokens"]) == ("s1", "ann", 6)
            assert bill["cost_micros"] == bill["prompt_tokens"] + 6

    asyncio.run(go())


@pytest.mark.parametrize("kind", ["summary", "approval"])
def test_a_session_without_budget_or_of_another_user_pays_for_no_job(dsn: str, kind: str) -> None:
    async def go() -> None:
        async with queued(dsn) as queue:
            spent = "INSERT INTO sessions (session, sub, cost_micros) VALUES ('s1', 'ann', 1000)"
            await queue.rows(f"{spent} RETURNING session")
            await queue.work(await queue.accept("k1", kind))
            await queue.work(await queue.accept("k2", kind, subject="bob"))
            (failed, why), (refused, whose) = await queue.status("k1"), await queue.status("k2", "bob")
            assert (failed, refused) == ("failed", "failed")
            assert "budget" in why and "someone else" in whose
            assert [row["cost_micros"] for row in await queue.rows("SELECT * FROM sessions")] == [1000]

    asyncio.run(go())


def test_what_was_asked_in_vain_for_a_job_is_on_the_bill_once(dsn: str) -> None:
    async def go() -> None:
        async with queued(dsn) as queue:
            seq, vain, leases = await queue.accept("k1"), Usage(1, 2, 3), queue.leases
            _, first = await leases.claim(seq)
            assert first is not None and (first.owner, first.spent) == (None, 0)
            await leases.give_back(first, "no model answers", delay=0, counted=False, usage=vain)
            _, second = await leases.claim(seq)
            assert second is not None and (second.owner, second.spent) == ("ann", 3)
            await leases.end(second, "failed", "withheld", vain)
            with pytest.raises(LeaseLost):
                await leases.end(second, "failed", "withheld", vain)
            [bill] = await queue.rows("SELECT prompt_tokens, completion_tokens, cost_micros FROM sessions")
            assert tuple(bill.values()) == (2, 4, 6)

    asyncio.run(go())
