"""Prometheus metrics of one app process, in a registry of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from .breaker import Breaker, State

log = logging.getLogger(__name__)


disable_created_metrics()  # type: ignore[no-untyped-call]


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

    def render(self) -> bytes:
        """The exposition text; reads the breakers, since an open one becomes half-open by time alone."""
        for breaker in self._breakers:
            self.breaker_state.labels(breaker.name).set(breaker.state)
        return generate_latest(self.registry)

    def _changed(self, name: str, state: State) -> None:
        to = state.name.lower().replace("_", "-")
        self.breaker_changes.labels(name, to).inc()
        log.warning("breaker changed state", extra={"dependency": name, "state": to})
