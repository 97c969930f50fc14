"""An alarm at an absolute time, finer than an event loop's own timers, which count whole milliseconds."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Protocol

_SECOND = 1_000_000_000
_CLOCK_MONOTONIC = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm(Protocol):
    """Calls a function on the event loop at the time, in ns on the caller's clock, that was set last."""

    def set(self, due: int) -> None:
        """Ring at `due`, and no longer at the time set before."""

    def cancel(self) -> None:
        """Do not ring."""

    def close(self) -> None:
        """Let go of what the operating system holds; idempotent."""


class LoopAlarm:
    """By the event loop's own timers: up to 1 ms late."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None], clock: Callable[[], int]
    ) -> None:
        self._loop, self._ring, self._clock = loop, ring, clock
        self._handle: asyncio.TimerHandle | None = None

    def set(self, due: int) -> None:
        """See Alarm.set."""
        self.cancel()
        # uvloop's timers count whole ms and round: up, or it would spin on a due time not yet reached
        wait_ms = max(1, -(-(due - self._clock()) // 1_000_000))
        self._handle = self._loop.call_later(wait_ms / 1000, self._ring)

    def cancel(self) -> None:
        """See Alarm.cancel."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def close(self) -> None:
        """See Alarm.close."""
        self.cancel()


class KernelAlarm:
    """By a timer of the Linux kernel (timerfd; in Python's own library from 3.13 on): as exact as a sleep.

    Raises OSError where there is none.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None], clock: Callable[[], int]
    ) -> None:
        self._loop, self._ring, self._clock = loop, ring, clock
        if sys.platform != "linux":
            raise OSError("no timerfd on this platform")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        loop.add_reader(self._fd, self._rung)

    def set(self, due: int) -> None:
        """See Alarm.set."""
        # A time of zero would disarm it; one that is past rings at once.
        self._arm(max(1, due - self._clock()))

    def cancel(self) -> None:
        """See Alarm.cancel."""
        if self._fd >= 0:
            self._arm(0)

    def close(self) -> None:
        """See Alarm.close."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _arm(self, wait_ns: int) -> None:
        value = _Timespec(wait_ns // _SECOND, wait_ns % _SECOND)
        spec = _Itimerspec(_Timespec(0, 0), value)
        if self._libc.timerfd_settime(self._fd, 0, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def _rung(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # set anew since it rang
            return
        self._ring()


def alarm(loop: asyncio.AbstractEventLoop, ring: Callable[[], None], clock: Callable[[], int]) -> Alarm:
    """The finest alarm that this machine has."""
    try:
        return KernelAlarm(loop, ring, clock)
    except OSError:
        return LoopAlarm(loop, ring, clock)
