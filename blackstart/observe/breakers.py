"""Circuit breakers and degradations of the app, from the metrics that it exports for Prometheus."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from blackstart.observe.http import get
from blackstart.observe.source import Fact, PollingSource, Watch

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

STATES = {0: "closed", 1: "half-open", 2: "open"}
#: A degradation is over when no answer has named it for this long, in seconds.
QUIET_S = 2.0

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:\\.|[^"\\])*)"')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


@dataclass(frozen=True)
class Sample:
    """One line of Prometheus' text format."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(text: str) -> Iterator[Sample]:
    """The samples of a text exposition; ValueError for a line that is none."""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"not a metric: {line[:80]!r}")
        labels = {k: re.sub(r"\\.", _unescape, v) for k, v in _LABEL.findall(match[2] or "")}
        yield Sample(match[1], labels, float(match[3]))


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], match[0])


class Degradations:
    """Which degradations answers name at present, from counters that only grow (or restart from 0)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._first = True

    def update(self, counts: Mapping[str, float]) -> dict[str, bool]:
        """Whether each is going on, for those that have been seen to go on; the first call is the start."""
        now = self._clock()
        for name, count in counts.items():
            last = self._counts.get(name, count if self._first else 0.0)
            # A counter that went back was restarted: all of it is new.
            if count > last or 0 < count < last:
                self._seen[name] = now
        self._counts = dict(counts)
        self._first = False
        return {name: now - at < QUIET_S for name, at in self._seen.items()}


class BreakerSource(PollingSource):
    """Events `closed`, `half-open`, `open` of each breaker, and `degraded`, `no longer degraded` for each
    degradation that answers name, from every instance of `service`."""

    name = "breaker"

    def __init__(
        self,
        service: str = "app",
        port: str = "http",
        *,
        state: str = "app_breaker_state",
        degradations: str = "app_degradations_total",
        every: float = 0.25,
    ) -> None:
        super().__init__()
        self.service, self.port, self.every = service, port, every
        self.state, self.degradations = state, degradations

    def watches(self, running: RunningStack) -> Iterable[Watch]:
        """A watch per app instance."""
        for instance in running.stack.of(self.service):
            url = running.url(instance.name, self.port, "/metrics")
            seen = Degradations(time.monotonic)
            yield Watch({"instance": instance.name}, partial(self._poll, url, seen))

    def _poll(self, url: str, seen: Degradations) -> Sequence[Fact]:
        answer = get(url, self.timeout)
        if answer.status != 200:
            raise OSError(f"/metrics answers {answer.status}")
        breakers, counts = [], dict[str, float]()
        for sample in samples(answer.body.decode()):
            if sample.name == self.state:
                state = STATES.get(int(sample.value), str(sample.value))
                breakers.append(Fact({"state": state}, of=dict(sample.labels), named={"state": state}))
            elif sample.name == self.degradations:
                counts[" ".join(sample.labels.values())] = sample.value
        degraded = [
            Fact(
                {"active": on},
                of={"degradation": name},
                named={"active": "degraded" if on else "no longer degraded"},
            )
            for name, on in seen.update(counts).items()
        ]
        return [*breakers, *degraded]
