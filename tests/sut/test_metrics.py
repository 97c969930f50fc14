"""The pools' figures as Prometheus reads them."""

from __future__ import annotations

from blackstart.observe.breakers import samples
from sut.app.service.metrics import POOLED, Metrics


class Pool:
    """Counts as psycopg_pool does: what is 0 is missing."""

    def __init__(self, name: str, **counts: int) -> None:
        self.name, self.counts = name, counts

    def get_stats(self) -> dict[str, int]:
        return self.counts


def test_every_pool_tells_its_size_its_queue_and_its_requests() -> None:
    metrics = Metrics()
    busy = Pool("turns", pool_size=6, requests_waiting=2, requests_num=40, requests_wait_ms=1500)
    metrics.pools([busy, Pool("probes")])
    told = {
        (s.name, s.labels["pool"]): s.value for s in samples(metrics.render().decode()) if "pool" in s.labels
    }
    assert told["app_pool_size", "turns"] == 6
    assert told["app_pool_waiting", "turns"] == 2
    assert told["app_pool_requests_total", "turns"] == 40
    assert told["app_pool_wait_seconds_total", "turns"] == 1.5
    assert told["app_pool_waiting", "probes"] == 0
    assert len(told) == 2 * len(POOLED)
