"""Prometheus metrics of one app process, in a registry of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .breaker import Breaker, State

log = logging.getLogger(__name__)


disable_created_metrics()  # type: ignore[no-untyped-call]


class Pooled(Protocol):
    """A pool of connections that counts; `psycopg_pool`'s do."""

    name: str

    def get_stats(self) -> dict[str, int]:
        """Counts by name; those that are 0 may be missing."""


#: What a pool counts, by the name of the metric; the first three are of now, the others only grow.
POOLED = {
    "app_pool_size": ("pool_size", "Connections, idle or lent."),
    "app_pool_available": ("pool_available", "Connections that are idle."),
    "app_pool_waiting": ("requests_waiting", "Requests that wait for a connection now."),
    "app_pool_requests": ("requests_num", "Requests for a connection."),
    "app_pool_queued": ("requests_queued", "Requests that had to wait for a connection."),
    "app_pool_errors": ("requests_errors", "Requests that got no connection."),
    "app_pool_wait_seconds": ("requests_wait_ms", "Time that requests waited for a connection."),
    "app_pool_lost": ("connections_lost", "Connections that were found broken."),
}


class Pools(Collector):
    """Asks the pools when it is asked."""

    def __init__(self) -> None:
        self.pools: list[Pooled] = []

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks."""
        stats = {pool.name: pool.get_stats() for pool in self.pools}
        for name, (key, words) in POOLED.items():
            now = name in ("app_pool_size", "app_pool_available", "app_pool_waiting")
            kind = GaugeMetricFamily if now else CounterMetricFamily
            family = kind(name, words, labels=["pool"])
            for pool, counts in stats.items():
                family.add_metric([pool], counts.get(key, 0) / (1000 if key.endswith("_ms") else 1))
            yield family


class Metrics:
    """Counters by route, degradation and breaker; times are seconds.

    Without `breakers` none ever opens; without `one_probe` a half-open one lets every call through.
    """

    def __init__(self, *, breakers: bool = True, one_probe: bool = True) -> None:
        self._guarding = breakers
        self._one_probe = one_probe
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "app_requests", "Requests answered.", ["route", "status"], registry=self.registry
        )
        # Where an answer comes as a stream, its status has been sent, 200, before anything can go wrong.
        self.stream_errors = Counter(
            "app_stream_errors",
            "Streams that ended in an error, by the status that an answer would have had.",
            ["status"],
            registry=self.registry,
        )
        # Told from 0 on: a series that begins at 1 shows no increase.
        for status in ("500", "503", "504"):
            self.stream_errors.labels(status)
        self.latency = Histogram(
            "app_request_seconds",
            "Time to answer.",
            ["route"],
            buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8),
            registry=self.registry,
        )
        self.degradations = Counter(
            "app_degradations", "Answers given in a degraded mode.", ["mode"], registry=self.registry
        )
        self.replays = Counter("app_replays", "Answers replayed by idempotency key.", registry=self.registry)
        self.retries = Counter("app_turn_retries", "Turns tried a second time.", registry=self.registry)
        self.in_flight = Gauge("app_in_flight", "Requests being answered.", registry=self.registry)
        self.ready = Gauge("app_ready", "1 when the service can write.", registry=self.registry)
        self.breaker_state = Gauge(
            "app_breaker_state", "0 closed, 1 half-open, 2 open.", ["dependency"], registry=self.registry
        )
        self.breaker_changes = Counter(
            "app_breaker_transitions", "Breaker transitions.", ["dependency", "to"], registry=self.registry
        )
        self._breakers: list[Breaker] = []
        self._pools = Pools()
        self.registry.register(self._pools)

    def breaker(
        self,
        name: str,
        *,
        failures: int = 5,
        open_s: float = 2.0,
        guarding: bool = True,
        blame: Callable[[BaseException], bool] = lambda error: True,
    ) -> Breaker:
        """A breaker whose state and transitions are exported; one that is not `guarding` never opens."""
        made = Breaker(
            name,
            failures=failures if self._guarding and guarding else None,
            open_s=open_s,
            one_probe=self._one_probe,
            blame=blame,
            on_change=self._changed,
        )
        self._breakers.append(made)
        return made

    def pools(self, pools: Iterable[Pooled]) -> None:
        """Export what these pools count, beside those named before."""
        self._pools.pools += pools

    def render(self) -> bytes:
        """The exposition text; reads the breakers, since an open one becomes half-open by time alone."""
        for breaker in self._breakers:
            self.breaker_state.labels(breaker.name).set(breaker.state)
        return generate_latest(self.registry)

    def _changed(self, name: str, state: State) -> None:
        to = state.name.lower().replace("_", "-")
        self.breaker_changes.labels(name, to).inc()
        log.warning("breaker changed state", extra={"dependency": name, "state": to})
