"""Metrics of the queue, exported by the workers; of depth, age and pending all say the same."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class JobMetrics:
    """Times are seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.depth = Gauge("app_outbox_depth", "Jobs accepted and not settled.", registry=registry)
        self.oldest = Gauge("app_outbox_oldest_seconds", "Age of the oldest of them.", registry=registry)
        self.pending = Gauge(
            "app_job_stream_pending", "Hints delivered and not acknowledged.", registry=registry
        )
        self.published = Counter("app_job_hints", "Hints published.", registry=registry)
        self.republished = Counter(
            "app_job_republished", "Hints published again for the same work.", registry=registry
        )
        self.deliveries = Counter("app_job_deliveries", "Jobs claimed.", ["kind"], registry=registry)
        self.reclaimed = Counter(
            "app_job_reclaimed", "Hints taken over from a worker that was gone.", registry=registry
        )
        self.fenced = Counter(
            "app_job_fenced", "Results refused because the lease was lost.", registry=registry
        )
        self.retries = Counter("app_job_retries", "Jobs given back.", ["reason"], registry=registry)
        self.dead = Counter("app_job_dead_letters", "Jobs given up.", registry=registry)
        self.removed = Counter(
            "app_retention_removed", "Jobs, or conversations' checkpoints.", ["what"], registry=registry
        )
        self.seconds = Histogram(
            "app_job_seconds",
            "From acceptance to the stored result.",
            ["kind"],
            buckets=(0.25, 0.5, 1, 2, 4, 8, 15, 30, 60),
            registry=registry,
        )
