"""Steady state: wait until every condition of a stack holds, all in one look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from blackstart.model.durations import Duration, human
from blackstart.model.errors import ConfigError, HarnessError, SteadyStateError
from blackstart.platforms.waiting import GiveUp, wait_until
from blackstart.stack.running import RunningStack

#: Seconds between looks at instances, at a condition of the whole stack, and for containers that died.
_EVERY = 0.15
_STACK_EVERY = 0.5
_DEATHS_EVERY = 1.0
#: Instances looked at at once: under load, what looks must not be felt.
_THREADS = 8
#: How many of the failed instances have their logs shown, and how many lines each.
_SHOWN, _LINES = 3, 15

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Check:
    """A condition of one instance, or of the whole stack where `instance` is empty."""

    condition: Any
    instance: str

    def __str__(self) -> str:
        return f"{self.instance}: {self.condition}" if self.instance else str(self.condition)

    def wrong(self, running: RunningStack) -> str | None:
        """None if it holds, else what is wrong."""
        try:
            seen = self.condition.check(running, self.instance)
        except (ConfigError, KeyboardInterrupt):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a condition raises means that it does not hold
            return f"{type(error).__name__}: {error}"
        return None if seen is None else str(seen)


def steady(
    running: RunningStack,
    limit: Duration,
    progress: Progress | None = None,
    *,
    stop: threading.Event | None = None,
    revive: Callable[[str], None] | None = None,
) -> float:
    """Wait until every instance is ready and every condition of the stack holds; returns the seconds waited.

    The last look sees all of them hold together. Raises SteadyStateError with what did not hold, what was
    last seen of it and the last log lines of the instances concerned. A container that does not run ends
    the wait at once, unless `revive` (given the instance's name) brings it back, which is tried once.
    """
    watch = _Watch(running, progress, revive)
    try:
        return wait_until(
            f"steady state of stack {running.stack.name!r}",
            watch.look,
            limit=limit,
            every=_EVERY,
            error=SteadyStateError,
            last=watch.logs,
            stop=stop,
        )
    finally:
        watch.close()


class _Again(Exception):
    """Nothing is known any more: look again."""


class _Watch:
    def __init__(
        self, running: RunningStack, progress: Progress | None, revive: Callable[[str], None] | None
    ) -> None:
        self._running, self._progress, self._revive = running, progress, revive
        self._revived: set[str] = set()
        ready = [_Check(i.ready, i.name) for i in running.stack.instances if i.ready is not None]
        self._checks = ready + [_Check(c, "") for c in running.stack.steady]
        self._failed: dict[_Check, str] = {}
        self._unseen = list(self._checks)
        self._asked = float("-inf")
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="steady")
        self._began = time.monotonic()
        self._looked_for_deaths = float("-inf")
        self._dead: list[str] = []

    def look(self) -> str | None:
        """One look at what has not held yet; at everything once nothing is left."""
        pending = [*self._failed, *self._unseen]
        if self._sweep(pending):
            self._bury()
            return self._summary()
        # What held one after the other must also hold at the same time.
        if len(pending) < len(self._checks) and self._sweep(self._checks):
            return self._summary()
        self._bury(force=True)
        return None

    def logs(self) -> str:
        """The last log lines of what failed."""
        names = list(dict.fromkeys([*self._dead, *(c.instance for c in self._failed if c.instance)]))
        texts = []
        for name in names[:_SHOWN]:
            try:
                text = self._running.platform.logs(self._running.container(name), tail=_LINES)
            except HarnessError as error:
                text = str(error)
            texts.append(f"--- last lines of {name}\n{text.rstrip()}")
        if more := names[_SHOWN:]:
            texts.append(f"--- also: {', '.join(more)}")
        return "\n".join(texts)

    def close(self) -> None:
        """End the threads; checks that hang are left to their own time limits."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _sweep(self, checks: list[_Check]) -> bool:
        """Check the instances, then the conditions of the whole stack; True if any does not hold.

        Those are dear: they chat, and do jobs. Each waits for those before it, and is asked again only after
        a while, or a stack that is short of room would be kept so by those who ask whether it is well.
        """
        instances = [c for c in checks if c.instance]
        looked = zip(instances, self._pool.map(lambda c: c.wrong(self._running), instances), strict=True)
        before, self._failed = self._failed, {c: w for c, w in looked if w is not None}
        self._unseen = []
        for check in checks:
            if check.instance:
                continue
            if self._failed:
                self._unseen.append(check)
            elif (wrong := self._of_the_stack(check, before.get(check))) is not None:
                self._failed[check] = wrong
        if self._progress is not None:
            for check in before:
                if check not in self._failed and check not in self._unseen:
                    self._progress(f"{check} after {human(time.monotonic() - self._began)}")
        return bool(self._failed)

    def _of_the_stack(self, check: _Check, before: str | None) -> str | None:
        if before is not None and time.monotonic() - self._asked < _STACK_EVERY:
            return before
        wrong = check.wrong(self._running)
        self._asked = time.monotonic()
        return wrong

    def _summary(self) -> str:
        lines = [f"{len(self._failed)} of {len(self._checks)} conditions do not hold"]
        lines += [f"  {check}: {wrong}" for check, wrong in self._failed.items()]
        if self._unseen:
            lines.append(f"  not looked at before that holds: {', '.join(map(str, self._unseen))}")
        return "\n".join(lines)

    def _bury(self, force: bool = False) -> None:
        """Revive containers that do not run, once; give up if that may not be or did not help."""
        now = time.monotonic()
        if not force and now - self._looked_for_deaths < _DEATHS_EVERY:
            return
        self._looked_for_deaths = now
        running = self._running
        status = {c.name: c.status for c in running.platform.list(running.run_id)}
        states = {
            i.name: [status.get(n, "gone") for n in (running.container(i.name), running.sidecar(i.name))]
            for i in running.stack.instances
        }
        self._dead = [name for name, seen in states.items() if seen != ["running", "running"]]
        if not self._dead:
            return
        told = ", ".join(f"{n} ({'/'.join(states[n])})" for n in self._dead)
        if self._revive is None or self._revived & set(self._dead):
            raise GiveUp(f"containers that do not run: {told}\n{self._summary()}")
        for name in self._dead:
            self._revived.add(name)
            self._revive(name)
        if force:
            self._unseen = list(self._checks)
            raise _Again(f"revived {told}")
