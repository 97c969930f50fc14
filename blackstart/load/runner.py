"""The open loop: every operation is due on an absolute schedule, whatever became of the others."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from blackstart.load import templates
from blackstart.load.alarm import alarm
from blackstart.load.http import HttpExecutor
from blackstart.load.keys import KeyPool
from blackstart.load.meter import Meter
from blackstart.load.operations import HttpOperation, LoadPlan, Operation, SqlRead, SqlWrite
from blackstart.load.outcome import Outcome
from blackstart.load.recorder import Recorder
from blackstart.load.sql import SqlReadExecutor, SqlWriteExecutor
from blackstart.model.durations import seconds

FINAL_AT_ONCE = 8
FINAL_PAUSE = 0.2
_GRACE = 1.0


class Executor(Protocol):
    """Performs one operation within its deadline; says how it ended."""

    def __call__(self, values: Mapping[str, str], key: str | None) -> Awaitable[Outcome]: ...

    async def warm(self) -> None:
        """Prepare what the first operations would otherwise wait for."""

    async def close(self) -> None:
        """Let go of all connections."""


EXECUTORS: dict[type[Operation], Callable[[Any], Executor]] = {
    HttpOperation: HttpExecutor,
    SqlWrite: SqlWriteExecutor,
    SqlRead: SqlReadExecutor,
}
"""Who performs which kind of operation."""


class Processes:
    """Process numbers of the history: one operation at a time each, and a new one after an info."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._next = 0

    def take(self) -> int:
        """The lowest free number."""
        if self._free:
            return heapq.heappop(self._free)
        self._next += 1
        return self._next - 1

    def give_back(self, number: int, outcome: str) -> None:
        """Free `number`, unless its operation is indeterminate: that may never end."""
        if outcome != "info":
            heapq.heappush(self._free, number)


class Lane:
    """One operation of the plan with its schedule; `due`: the next start, in ns from the run's start."""

    def __init__(self, operation: Operation, pool: KeyPool | None) -> None:
        self.operation, self.pool, self.rate = operation, pool, operation.rate
        self.executor = EXECUTORS[type(operation)](operation)
        self.in_flight = 0
        self.due = 0
        self._base, self._count = 0, 0

    def begin(self, base_ns: int) -> None:
        """The first start is due at `base_ns`."""
        self._base = self.due = base_ns

    def turn_to(self, rate: float, now_ns: int) -> None:
        """From now on at this rate, per second; the next start is due after one period."""
        self.rate, self._base, self._count = rate, now_ns, 0
        self.advance()

    def advance(self) -> None:
        """Go on to the next start; computed from the base, so that rounding never adds up."""
        self._count += 1
        self.due = self._base + round(self._count * 1e9 / self.rate)


class Runner:
    """Runs a plan on the running event loop; `failed` is set if the history cannot be written."""

    def __init__(self, plan: LoadPlan, recorder: Recorder, meter: Meter, run: str) -> None:
        self._plan, self._recorder, self._meter, self._run = plan, recorder, meter, run
        self._loop = asyncio.get_running_loop()
        self._prompts = templates.Prompts(run, plan.seed)
        self._processes = Processes()
        self._random = random.Random(plan.seed)
        self._pools = {
            each.f: KeyPool(each.f, run, each.keys, one_at_a_time=each.one_at_a_time, seed=plan.seed)
            for each in plan.operations
            if each.is_write
        }
        self._lanes = [Lane(each, self._pools.get(each.key_from or each.f)) for each in plan.operations]
        self._schedule: list[tuple[int, int]] = []
        self._waiting: dict[str, list[int]] = {}
        self._alarm = alarm(self._loop, self._tick, recorder.now)
        self._tasks: set[asyncio.Task[None]] = set()
        self._seq = 0
        self.failed: asyncio.Future[None] = self._loop.create_future()

    @property
    def in_flight(self) -> int:
        """Operations without completion."""
        return len(self._tasks)

    async def warm(self) -> None:
        """Connect beforehand: the start of the load must not look like an outage of the service."""
        await asyncio.gather(*(lane.executor.warm() for lane in self._lanes))

    def start(self) -> None:
        """Begin the schedules, each kind at a phase of its own; readers once there is a key to read."""
        for number, lane in enumerate(self._lanes):
            if lane.operation.key_from is not None:
                self._waiting.setdefault(lane.operation.key_from, []).append(number)
            else:
                self._begin(number)
        self._arm()

    def turn_to(self, f: str, rate: float) -> None:
        """Issue operations of the kind `f` at `rate` per second from now on; unknown kinds are ignored."""
        begun = {number for _, number in self._schedule}
        for number, lane in enumerate(self._lanes):
            if lane.operation.f != f:
                continue
            if number in begun:
                lane.turn_to(rate, self._recorder.now())
            else:
                lane.rate = rate
        self._schedule = [(self._lanes[number].due, number) for number in begun]
        heapq.heapify(self._schedule)
        self._arm()

    def stop(self) -> None:
        """Issue nothing more."""
        self._schedule.clear()
        self._waiting.clear()
        self._alarm.cancel()

    async def drain(self) -> None:
        """Wait until all in flight have ended, at most the longest deadline (and a grace)."""
        longest = max((seconds(lane.operation.deadline) for lane in self._lanes), default=0.0)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=longest + _GRACE)

    async def close(self) -> None:
        """Let go of the timer and all connections."""
        self._alarm.close()
        for lane in self._lanes:
            await lane.executor.close()

    # the schedule

    def _begin(self, number: int) -> None:
        lane = self._lanes[number]
        phase = self._random.random() * 1e9 / lane.rate
        lane.begin(self._recorder.now() + round(phase))
        heapq.heappush(self._schedule, (lane.due, number))

    def _arm(self) -> None:
        if self._schedule:
            self._alarm.set(self._schedule[0][0])

    def _tick(self) -> None:
        try:
            while self._schedule and self._schedule[0][0] <= self._recorder.now():
                due, number = self._schedule[0]
                lane = self._lanes[number]
                lane.advance()
                heapq.heapreplace(self._schedule, (lane.due, number))
                self._issue(lane, due)
        except Exception as error:  # noqa: BLE001 - a callback has nobody to raise to
            self._fail(error)
            return
        self._arm()

    def _fail(self, error: Exception) -> None:
        self.stop()
        if not self.failed.done():
            self.failed.set_exception(error)

    # one operation

    def _issue(self, lane: Lane, due: int) -> None:
        operation = lane.operation
        key = None
        if lane.pool is not None:
            key = lane.pool.take() if operation.key_from is None else lane.pool.readable()
        values = self._values(key)
        value = _value(operation, key, values)
        process = self._processes.take()
        at = self._recorder.invoke(process, operation.f, due, value)
        self._meter.started(operation.f, at - due)
        room = len(self._tasks) < self._plan.max_in_flight
        if not room or (operation.slots is not None and lane.in_flight >= operation.slots):
            self._complete(lane, process, key, value, Outcome.fail("not-started"))
            return
        lane.in_flight += 1
        task = self._loop.create_task(self._perform(lane, process, key, value, values))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(
        self,
        lane: Lane,
        process: int,
        key: str | None,
        value: dict[str, Any] | None,
        values: Mapping[str, str],
    ) -> None:
        try:
            outcome = await _guarded(lane.executor, values, key)
            lane.in_flight -= 1
            self._complete(lane, process, key, value, outcome)
        except Exception as error:  # noqa: BLE001 - a task has nobody to raise to
            self._fail(error)

    def _complete(
        self, lane: Lane, process: int, key: str | None, value: dict[str, Any] | None, outcome: Outcome
    ) -> None:
        operation = lane.operation
        self._recorder.complete(process, operation.f, outcome, value)
        self._processes.give_back(process, outcome.type)
        self._meter.ended(operation.f, outcome.type, outcome.error)
        if lane.pool is None or key is None or operation.key_from is not None:
            return
        lane.pool.give_back(key, outcome.type)
        if outcome.type == "ok" and (readers := self._waiting.pop(operation.f, None)):
            for number in readers:
                self._begin(number)
            self._arm()

    def _values(self, key: str | None) -> dict[str, str]:
        self._seq += 1
        return {
            "run": self._run,
            "session": key or "",
            "id": f"{self._run}-{self._seq}",
            "seq": str(self._seq),
            "prompt": self._prompts.take(self._seq),
        }

    # closing

    async def final_reads(self, limit: float) -> tuple[int, list[str]]:
        """Read every key written until it answers, for `limit` s; returns how many did and which did not.

        Each try is an operation of its own, marked final.
        """
        deadline = self._loop.time() + limit
        gate = asyncio.Semaphore(FINAL_AT_ONCE)
        lanes = [Lane(each, self._pools[each.key_from or ""]) for each in self._plan.closing]
        wanted = [(lane, key) for lane in lanes if lane.pool is not None for key in lane.pool.all]
        try:
            done = await asyncio.gather(*(self._read(gate, lane, key, deadline) for lane, key in wanted))
        finally:
            for lane in lanes:
                await lane.executor.close()
        unread = [key for (_, key), read in zip(wanted, done, strict=True) if not read]
        return len(wanted) - len(unread), unread

    async def _read(self, gate: asyncio.Semaphore, lane: Lane, key: str, deadline: float) -> bool:
        f = lane.operation.f
        while True:
            async with gate:
                if self._loop.time() > deadline:  # it waited for its turn all the while
                    return False
                values = self._values(key)
                value = {"key": key}
                process = self._processes.take()
                self._recorder.invoke(process, f, self._recorder.now(), value, final=True)
                outcome = await _guarded(lane.executor, values, key)
                self._recorder.complete(process, f, outcome, value, final=True)
                self._processes.give_back(process, outcome.type)
            if outcome.type == "ok":
                return True
            if self._loop.time() + FINAL_PAUSE > deadline:
                return False
            await asyncio.sleep(FINAL_PAUSE)  # the pace of the tries; the condition is the ok


def _value(operation: Operation, key: str | None, values: Mapping[str, str]) -> dict[str, Any] | None:
    if key is None:
        return None
    return {"key": key, "id": values["id"]} if operation.is_write else {"key": key}


async def _guarded(executor: Executor, values: Mapping[str, str], key: str | None) -> Outcome:
    try:
        return await executor(values, key)
    except Exception as error:  # noqa: BLE001 - a bug of the client must not look like a certain outcome
        return Outcome.info("client-error", detail=repr(error)[:200])
