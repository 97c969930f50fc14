"""Waits: each has a name, a limit and a helpful failure. No bare sleeps anywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import ConfigError, HarnessError, ProvisionError

T = TypeVar("T")


class GiveUp(HarnessError):
    """Raised by a probe when what it awaits can no longer come: the wait fails at once with this reason."""


_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """Every wait of this thread ends early once `stop` is set, unless it is given another."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def wait_for(
    name: str,
    probe: Callable[[], T | None],
    *,
    limit: Duration,
    every: float = 0.1,
    error: type[HarnessError] = ProvisionError,
    last: Callable[[], str] | None = None,
    stop: threading.Event | None = None,
) -> T:
    """Call `probe` every `every` seconds until it returns something other than None, and return that.

    A probe that raises counts as not yet; what it raised is remembered. `last` is called once on
    failure to say what was last seen (log lines, say). `stop` ends the wait early.
    Raises `error` with name, time waited and what was last seen; ConfigError passes through.
    """
    began = time.monotonic()
    deadline = began + seconds(limit)
    stop = stop or _stop.get() or threading.Event()
    seen = "nothing"
    while True:
        try:
            if (value := probe()) is not None:
                return value
            seen = "not yet"
        except ConfigError:
            raise
        except GiveUp as reason:
            told = f"{name}: given up after {human(time.monotonic() - began)}: {reason}"
            raise error(_with_details(told, last)) from reason
        except Exception as failure:  # noqa: BLE001 - any failure of a probe means "not yet"; it is shown
            seen = f"{type(failure).__name__}: {failure}"
        if time.monotonic() >= deadline:
            raise error(_message(name, time.monotonic() - began, seen, last))
        if stop.wait(min(every, max(0.0, deadline - time.monotonic()))):
            raise error(_message(name, time.monotonic() - began, f"stopped; last seen: {seen}", last))


def wait_until(
    name: str,
    check: Callable[[], str | None],
    *,
    limit: Duration,
    every: float = 0.1,
    error: type[HarnessError] = ProvisionError,
    last: Callable[[], str] | None = None,
    stop: threading.Event | None = None,
) -> float:
    """Wait until `check` returns None (it holds) rather than a word on what is still wrong.

    Returns the seconds waited. Raises as `wait_for`.
    """
    began = time.monotonic()

    def probe() -> bool | None:
        if (wrong := check()) is None:
            return True
        raise _NotYet(wrong)

    wait_for(name, probe, limit=limit, every=every, error=error, last=last, stop=stop)
    return time.monotonic() - began


class _NotYet(Exception):
    """Carries what a check says is still wrong."""


def _message(name: str, waited_s: float, seen: str, last: Callable[[], str] | None) -> str:
    return _with_details(
        f"{name}: not within {human(waited_s)}; last seen: {seen.removeprefix('_NotYet: ')}", last
    )


def _with_details(text: str, last: Callable[[], str] | None) -> str:
    if last is None:
        return text
    try:
        more = last()
    except Exception as failure:  # noqa: BLE001 - what failed to be fetched must not hide what failed
        more = f"(and its details could not be had: {failure})"
    return f"{text}\n{more}" if more else text
