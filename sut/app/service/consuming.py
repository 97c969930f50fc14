"""What a worker process does beside answering its probes: relay, consumer and retention, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import approval
from .approval import Approvals
from .cache import connect
from .config import Settings
from .database import make_pool
from .job_metrics import JobMetrics
from .leases import Leases
from .llm import Models
from .metrics import Metrics
from .readiness import Readiness
from .relay import Relay
from .retention import Retention
from .runner import Runner
from .state import Answer
from .stream import JobStream
from .work import Jobwork
from .worker import Worker

# A read of the stream blocks for half a second: the socket must wait for longer.
SOCKET = 1.0
LIMIT = 2.0
GRACE = 4.0  # seconds to finish jobs under way, within the ten that a container is given to stop


@asynccontextmanager
async def consuming(
    settings: Settings, metrics: Metrics, runner: Runner, models: Models, readiness: Readiness
) -> AsyncIterator[None]:
    """Consume jobs inside; leaving it finishes or gives back what is under way."""
    # Of their own: a lease must be renewed, and a result stored, while turns wait for a connection.
    pool = make_pool(settings.database_dsn, name="jobs", size=3, check_timeout=settings.check_timeout)
    metrics.pools([pool])
    redis = connect(settings, SOCKET)
    stream = JobStream(redis, settings.node, timeout=LIMIT)
    job_metrics = JobMetrics(metrics.registry)

    def count(answer: Answer) -> None:
        for mode in answer.degraded:
            metrics.degradations.labels(mode).inc()

    box = settings.box
    leases = Leases(
        pool,
        settings.node,
        lease=settings.job_lease,
        republish=settings.job_republish,
        most=settings.job_deliveries,
        reclaim="reclaim" not in settings.without,
        fencing="fencing" not in settings.without,
        box=box,
    )
    worker = Worker(
        stream,
        leases,
        Jobwork(
            runner,
            models,
            Approvals(runner.pool, models, approval.build(), box),
            box,
            runner.budget_micros,
        ),
        job_metrics,
        ready=lambda: readiness.ready,
        on_answer=count,
        slots=settings.job_slots,
        heartbeat=settings.job_lease / 4,
    )
    relay = Relay(
        pool,
        stream,
        job_metrics,
        after=settings.job_republish,
        again="outbox-relay" not in settings.without,
    )
    retention = Retention(pool, job_metrics, settings.keep)
    await pool.open(wait=False)
    tasks = [asyncio.create_task(each.run()) for each in (worker, relay, retention)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await worker.close(GRACE)
        await asyncio.gather(pool.close(1.0), redis.aclose())
