"""A worker: takes hints, claims their jobs, works, stores. At least once, and one result a job.

A worker takes no more hints than it has slots, so that a backlog stays in the stream, where others see it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from .approval import Question
from .database import UNUSABLE
from .deadline import heed_cancellation
from .errors import ModelsUnavailable, Refusal
from .job_metrics import JobMetrics
from .leases import Claim, LeaseLost, Leases, Verdict, backoff
from .logs import trace_id
from .state import Answer
from .stream import TROUBLE, Hint, JobStream
from .usage import NOTHING, Usage

log = logging.getLogger(__name__)
Work = Callable[[Claim], Awaitable[Answer | Question]]
STORING = 2  # tries: what took seconds to find out is worth a second connection


@dataclass
class Worker:
    """Times in seconds. While not `ready` (the database is away, or the process drains) it takes nothing."""

    stream: JobStream
    leases: Leases
    work: Work
    metrics: JobMetrics
    ready: Callable[[], bool]
    on_answer: Callable[[Answer], None] = lambda answer: None
    slots: int = 4
    heartbeat: float = 1.0
    deadline: float = 20.0
    pause: float = 0.3
    clock: Callable[[], float] = time.monotonic
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _reclaimed: float = field(default=float("-inf"))

    async def run(self) -> None:
        """For ever, until cancelled; then `close`."""
        while True:
            heed_cancellation()
            try:
                if not self.ready():
                    await asyncio.sleep(self.pause)
                elif (free := self.slots - len(self._tasks)) == 0:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                else:
                    self.begin(await self.hints(free))
            except TROUBLE as error:
                log.warning("no hints", extra={"error": type(error).__name__})
                await asyncio.sleep(self.pause)

    async def hints(self, count: int) -> list[Hint]:
        """What a worker that is gone has left, if it is time to look; else what is new. Raises TROUBLE."""
        # Longer than a lease: an earlier look would find it still held.
        idle = self.leases.lease + self.heartbeat
        if self.leases.reclaim and self.clock() - self._reclaimed >= self.heartbeat:
            self._reclaimed = self.clock()
            if left := await self.stream.reclaim(count, idle=idle):
                self.metrics.reclaimed.inc(len(left))
                return left
        return await self.stream.fetch(count, wait=0.5)

    def begin(self, hints: list[Hint]) -> None:
        """Follow the hints, each in a task of its own."""
        for hint in hints:
            task = asyncio.create_task(self.follow(hint))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self, grace: float) -> None:
        """Finish what is under way within `grace` seconds, and give the rest back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def follow(self, hint: Hint) -> None:
        """Do what the hint says; never raises, but when cancelled."""
        try:
            verdict, claim = await self.leases.claim(hint.job)
            if claim is not None:
                trace_id.set(claim.trace_id)
                self.metrics.deliveries.labels(claim.kind).inc()
                await self._hold(hint, claim)
            elif verdict is Verdict.BURY:
                self.metrics.dead.inc()
                log.error("job given up", extra={"job": hint.job})
            if verdict is not Verdict.HELD:
                await self.stream.drop(hint)
        except (*UNUSABLE, *TROUBLE) as error:
            # The hint stays pending and is taken over, or the relay tells of the job again.
            log.warning("hint not followed", extra={"job": hint.job, "error": type(error).__name__})

    async def _hold(self, hint: Hint, claim: Claim) -> None:
        try:
            async with asyncio.timeout(self.deadline):
                found = await self._while_held(hint, claim)
            await self._settle(claim, found)
        except LeaseLost:
            self.metrics.fenced.inc()
            log.warning("lease lost", extra={"job": claim.seq, "epoch": claim.epoch})
        except Refusal as refusal:
            if refusal.status >= 500:
                await self._later(claim, refusal.reason, refusal.usage)
            else:
                with suppress(LeaseLost):
                    await self.leases.end(claim, "failed", refusal.reason, refusal.usage)
        except ModelsUnavailable as error:
            await self._later(claim, str(error), error.usage)
        except asyncio.CancelledError:
            async with asyncio.timeout(1.0):
                await self._give_back(claim, "drained", delay=0.0, counted=False)
                await self.stream.drop(hint)
            raise
        except UNUSABLE as error:
            # `TimeoutError` among them: a job that is never done in time must not be tried for ever.
            late = isinstance(error, TimeoutError)
            await self._give_back(claim, type(error).__name__, delay=backoff(claim.epoch), counted=late)
        except Exception as error:
            log.exception("job failed")
            await self._give_back(claim, type(error).__name__, delay=backoff(claim.epoch), counted=True)

    async def _while_held(self, hint: Hint, claim: Claim) -> Answer | Question:
        """The work's outcome; raises LeaseLost as soon as the lease is known to be lost."""
        working = asyncio.ensure_future(self.work(claim))
        beating = asyncio.create_task(self._beat(hint, claim))
        try:
            await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise LeaseLost
            return working.result()
        finally:
            working.cancel()
            beating.cancel()
            await asyncio.gather(working, beating, return_exceptions=True)

    async def _beat(self, hint: Hint, claim: Claim) -> None:
        """Renew the lease again and again; returns when it is lost."""
        while True:
            await asyncio.sleep(self.heartbeat)
            heed_cancellation()
            # Who cannot ask does not know that it is lost, and the writing statement checks it anyway.
            with suppress(*UNUSABLE):
                if not await self.leases.renew(claim):
                    return
            with suppress(*TROUBLE):
                await self.stream.keep(hint)

    async def _settle(self, claim: Claim, found: Answer | Question) -> None:
        for number in range(1, STORING + 1):
            try:
                if isinstance(found, Question):
                    await self.leases.ask(claim, found.thread, found.text, found.usage)
                else:
                    self.metrics.seconds.labels(claim.kind).observe(await self.leases.store(claim, found))
                    self.on_answer(found)
                return
            except UNUSABLE:
                if number == STORING:
                    raise

    async def _later(self, claim: Claim, reason: str, usage: Usage) -> None:
        """A dependency is down: the job waits for it, longer each time, and is not blamed."""
        await self._give_back(claim, reason, delay=backoff(claim.epoch), counted=False, usage=usage)

    async def _give_back(
        self, claim: Claim, reason: str, *, delay: float, counted: bool, usage: Usage = NOTHING
    ) -> None:
        self.metrics.retries.labels("failed" if counted else "unavailable").inc()
        await self.leases.give_back(claim, reason, delay=delay, counted=counted, usage=usage)
