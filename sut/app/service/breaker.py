"""A circuit breaker for asyncio.

Ours, because the half-open state of `circuitbreaker` 2.1.3 lets every waiting call through at once, counts
a cancelled call as a success and rounds its timer to whole seconds, and `purgatory` brings a Redis state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum


class State(IntEnum):
    """The numbers are those of the metric `app_breaker_state`."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class BreakerOpen(Exception):
    """The dependency is not called: its breaker is open, or another call is already probing it."""


class Breaker:
    """Opens after `failures` failures in a row, for `open_s` seconds; then lets one probe through at a time.

    A success closes it, a failed probe opens it again. Neither a cancelled call nor an error that it does not
    `blame` says anything about the dependency. Calls begun before the last change of state are not counted.
    Half-open for `forget_s` seconds without a call it closes: what is rarely asked would never be well again.
    With `failures` None it never opens. Without `one_probe` a half-open breaker lets every call through.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int | None = 5,
        open_s: float = 2.0,
        one_probe: bool = True,
        forget_s: float = 10.0,
        blame: Callable[[BaseException], bool] = lambda error: True,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[str, State], None] = lambda name, state: None,
    ) -> None:
        self.name = name
        self._limit = failures
        self._open_s = open_s
        self._one_probe = one_probe
        self._forget_s = forget_s
        self._blame = blame
        self._clock = clock
        self._on_change = on_change
        self._state = State.CLOSED
        self._failed = 0
        self._until = 0.0
        self._probing = False
        self._era = 0

    @property
    def state(self) -> State:
        """The state now; an open breaker becomes half-open, and closes, by the passing of time alone."""
        over = self._clock() - self._until
        if self._state is State.OPEN and over >= 0:
            self._enter(State.HALF_OPEN)
        if self._state is State.HALF_OPEN and not self._probing and over >= self._forget_s:
            self._enter(State.CLOSED)
        return self._state

    @property
    def wait_s(self) -> float:
        """Seconds until it lets a call through; 0 if it does."""
        return self._until - self._clock() if self.state is State.OPEN else 0.0

    def hold(self, seconds: float) -> None:
        """Stay open for at least so long: the dependency asked for it."""
        if self._limit is None or seconds <= 0:
            return
        self._until = max(self._until, self._clock() + seconds)
        if self._state is not State.OPEN:
            self._enter(State.OPEN)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Surround one call; raises BreakerOpen instead of calling."""
        probe = self.state is State.HALF_OPEN
        if self._state is State.OPEN or (probe and self._probing and self._one_probe):
            raise BreakerOpen(self.name)
        era, self._probing = self._era, self._probing or probe
        try:
            yield
        except Exception as error:
            if era == self._era and self._blame(error):
                self._failure()
            raise
        else:
            if era == self._era:
                self._success()
        finally:
            if probe and era == self._era:
                self._probing = False

    def _success(self) -> None:
        self._failed = 0
        if self._state is not State.CLOSED:
            self._enter(State.CLOSED)

    def _failure(self) -> None:
        self._failed += 1
        if self._limit is not None and (self._state is State.HALF_OPEN or self._failed >= self._limit):
            self.hold(self._open_s)

    def _enter(self, state: State) -> None:
        self._state = state
        self._failed = 0
        self._probing = False
        self._era += 1
        self._on_change(self.name, state)
