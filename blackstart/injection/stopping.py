"""Stop conditions: what ends a run early, with every fault undone at once and the trial unknown.

A file called STOP in the reports' folder, a probe of something that must not suffer, a budget of errors
that is burnt, SIGTERM.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import requests

from blackstart.model.errors import ConfigError

#: Seconds between two looks at the conditions.
EVERY_S = 0.5
_PROBE_TIMEOUT_S = 2.0


class Stopped(Exception):
    """The run is to stop: ends the body of the drill that is under way."""


class StopCondition(Protocol):
    """Something that may ask the run to stop."""

    def check(self) -> str | None:
        """Why the run has to stop; None if it may go on."""
        ...


@dataclass(frozen=True)
class StopFile:
    """The run stops once this file exists: `touch reports/STOP` from any shell."""

    path: Path

    def check(self) -> str | None:
        """See StopCondition."""
        return f"{self.path} is there" if self.path.exists() else None

    def refuse(self) -> None:
        """ConfigError if it exists before anything began."""
        if self.path.exists():
            raise ConfigError(f"{self.path} is there, so nothing is run; remove it to run drills again")


@dataclass
class StopProbe:
    """The run stops if `url` answers anything but 2xx, or not within 2 s, `failures` times in a row."""

    url: str
    failures: int = 2
    _failed: int = field(default=0, init=False)

    def check(self) -> str | None:
        """See StopCondition."""
        try:
            # The status alone: a body that drips would hold up every other condition.
            with requests.get(self.url, timeout=_PROBE_TIMEOUT_S, stream=True) as answer:
                status = answer.status_code
            wrong = None if 200 <= status < 300 else f"answered {status}"
        except requests.RequestException as error:
            wrong = f"did not answer ({type(error).__name__})"
        self._failed = self._failed + 1 if wrong else 0
        if self._failed >= self.failures:
            return f"the probe {self.url} {wrong}, {self._failed} times in a row"
        return None


@dataclass
class ErrorBudget:
    """The run stops once its drills have cost clients more than `limit` operations; controls are left out."""

    limit: int
    spent: int = 0

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ConfigError(f"an error budget is a number of operations from 0, not {self.limit}")

    def spend(self, operations: int) -> None:
        """Count operations that were not served."""
        self.spent += operations

    def check(self) -> str | None:
        """See StopCondition."""
        if self.spent <= self.limit:
            return None
        return f"the error budget is burnt: {self.spent} operations not served, {self.limit} allowed"


class Stop:
    """Whether the run is to stop, and why: the first reason stands. Safe to use from threads and signals."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.reason = ""
        #: Whether a trial is under way, which then stops in good order.
        self.heeded = False

    def request(self, reason: str) -> None:
        """Ask the run to stop."""
        if not self.asked.is_set():
            self.reason = reason
            self.asked.set()

    def wait(self, seconds: float) -> None:
        """Wait, unless and until the run is to stop: then raise Stopped."""
        if self.asked.wait(seconds):
            raise Stopped(self.reason)


class Stops:
    """What may end a run, on whichever stack its drills are: one request to stop, one budget for all.

    `probe` is a URL that must answer 2xx, `error_budget` how many operations drills may cost; the file is
    STOP in `reports`.
    """

    def __init__(self, reports: Path, probe: str | None = None, error_budget: int | None = None) -> None:
        self.stop = Stop()
        self.file = StopFile(reports / "STOP")
        self._budget = None if error_budget is None else ErrorBudget(error_budget)
        conditions: list[StopCondition] = [self.file]
        if probe is not None:
            conditions.append(StopProbe(probe))
        if self._budget is not None:
            conditions.append(self._budget)
        self.conditions = tuple(conditions)

    def spend(self, operations: int) -> None:
        """Count operations that a drill has cost the clients, against the budget."""
        if self._budget is not None:
            self._budget.spend(operations)


class StopWatch:
    """A thread that looks at the conditions while a trial runs; `act(reason)` is called once, from it."""

    def __init__(self, stop: Stop, conditions: Iterable[StopCondition], act: Callable[[str], None]) -> None:
        self._stop, self._conditions, self._act = stop, tuple(conditions), act
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stop conditions", daemon=True)

    def start(self) -> None:
        """Begin to watch; from now on a request to stop is heeded."""
        self._stop.heeded = True
        self._thread.start()

    def stop(self) -> None:
        """Watch no more, once what it is doing is done; idempotent."""
        self._stop.heeded = False
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            for condition in self._conditions:
                if (reason := condition.check()) is not None:
                    self._stop.request(reason)
            if self._stop.asked.is_set():
                self._act(self._stop.reason)
                return
            self._pause()

    def _pause(self) -> None:
        """Until the next look; a request to stop, or the end, is heard within 50 ms."""
        for _ in range(round(EVERY_S / 0.05)):
            if self._over.is_set() or self._stop.asked.wait(0.05):
                return
