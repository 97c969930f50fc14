"""When a dependency may be asked again: its retry budget, and what it said itself."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# A provider that names a day is asked again after this time all the same: its quota may have been raised.
LONGEST_S = 300.0


class RetryBudget:
    """Retries are at most `ratio` of the calls in the last `window_s` seconds, and `reserve` more.

    As Finagle's and Linkerd's budgets: a dependency that fails a little gets its retries, one that fails
    altogether is not asked twice as often as it would be anyway. `ratio` None bounds nothing.
    """

    def __init__(
        self,
        ratio: float | None,
        *,
        reserve: int = 1,
        window_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        on_retry: Callable[[bool], None] = lambda granted: None,
    ) -> None:
        self._ratio = ratio
        self._reserve = reserve
        self._window_s = window_s
        self._clock = clock
        self._on_retry = on_retry
        self._calls: deque[float] = deque()
        self._retries: deque[float] = deque()

    @property
    def left(self) -> float:
        """How many retries would be granted now."""
        if self._ratio is None:
            return float("inf")
        for times in (self._calls, self._retries):
            while times and times[0] <= self._clock() - self._window_s:
                times.popleft()
        return self._reserve + self._ratio * len(self._calls) - len(self._retries)

    def called(self) -> None:
        """Count a first call."""
        self._calls.append(self._clock())

    def retry(self) -> bool:
        """Count a retry, if there is one left."""
        granted = self.left >= 1
        self._on_retry(granted)
        if granted:
            self._retries.append(self._clock())
        return granted


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that an answer asks its caller to wait, at most LONGEST_S; 0 if it does not.

    A date is compared with the answer's own: the two clocks need not agree.
    """
    said = headers.get("Retry-After", "").strip()
    if not said:
        return 0.0
    try:
        wait = float(said) if said.isdecimal() else (_date(said) - _date(headers.get("Date"))).total_seconds()
    except (TypeError, ValueError):
        return 0.0
    return min(max(wait, 0.0), LONGEST_S)


def _date(text: str | None) -> datetime:
    if not text:
        return datetime.now(UTC)
    found = parsedate_to_datetime(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
