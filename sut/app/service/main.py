"""Puts the parts together, for an app replica or a worker, and serves them until SIGTERM, then drains."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import FrameType

import httpx
import uvicorn
from fastapi import FastAPI
from psycopg.conninfo import conninfo_to_dict

from . import api, jobs_api, tracing
from .answers import blamed
from .api import Parts, make_app
from .bounded import BoundedIngester, BoundedRetriever
from .breaker import Breaker
from .cache import RedisCache, connect, speaks_of_redis
from .config import Settings
from .consuming import consuming
from .database import make_pool
from .embedding import OpenAIEmbedder, embeddings
from .flights import Flights
from .freshness import Watermarks
from .graph import build
from .health import Dependency, answers, postgres, provider
from .ingest import Ingester
from .jobs import Jobs
from .limits import LimitMetrics
from .logs import configure
from .metrics import Metrics
from .providers import make_models
from .readiness import Readiness
from .retrieval import VectorRetriever
from .runner import Runner
from .secretfiles import CONTENT_KEYS, DATABASE_PASSWORD, JWT_KEYS, TLS_CA, plant, token_keys
from .throttling import Throttling
from .tool import SearchTool

log = logging.getLogger(__name__)


def make_service(settings: Settings) -> FastAPI:
    """The app whose lifespan opens the pools and watches the dependencies; waits for none of them."""
    metrics = Metrics(
        breakers="breakers" not in settings.without, one_probe="one-probe" not in settings.without
    )
    limit_metrics = LimitMetrics(metrics.registry)
    working = settings.role == "worker"

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool_of = partial(
            make_pool,
            pooled="pooling" not in settings.without,
            checked="pool-check" not in settings.without,
        )
        pool = pool_of(
            settings.database_dsn,
            name="turns",
            size=settings.pool_size,
            check_timeout=settings.check_timeout,
        )
        # The probes' own: behind slow turns they would wait, and call a replica unready that is only busy.
        probes = pool_of(settings.database_dsn, name="probes", size=1, check_timeout=settings.check_timeout)
        documents = pool_of(
            partial(settings.database_dsn, settings.retrieval_dsn),
            name="documents",
            size=settings.documents_pool_size,
            check_timeout=settings.retrieve_timeout / 2,
            writable=False,
        )
        ingesting = pool_of(
            settings.database_dsn,
            name="documents-primary",
            size=settings.documents_pool_size,
            check_timeout=settings.check_timeout,
        )
        # A pool of its own: session reads in a failover must not take retrieval's connections.
        reading = pool_of(
            partial(settings.database_dsn, settings.retrieval_dsn),
            name="reading",
            size=2,
            check_timeout=settings.check_timeout,
            writable=False,
        )
        # A breaker for each of the provider's endpoints: on a common one, embeddings that go well would keep
        # closed what chats that fail should open, and embeddings that stay broken would fail its every probe.
        embedder, batches = _embedders(settings, metrics.breaker("embeddings", blame=blamed))
        one_space = "embedding-space" not in settings.without
        watermarks = Watermarks()
        searched = (documents, ingesting) if "retrieval-fallback" not in settings.without else (documents,)
        retriever = BoundedRetriever(
            VectorRetriever(
                searched,
                embedder,
                watermarks,
                timeout=settings.retrieve_timeout,
                stale_after=settings.stale_after if "staleness" not in settings.without else math.inf,
                one_space=one_space,
                box=settings.box,
            ),
            limit_metrics.bulkhead("retrieval", settings),
            settings.embed_timeout + len(searched) * settings.retrieve_timeout,
            optional="retrieval-optional" not in settings.without,
        )
        tools = httpx.AsyncClient(timeout=settings.tool_timeout, event_hooks={"request": [tracing.inject]})
        tool = SearchTool(
            tools,
            settings.tool_url,
            metrics.breaker("tool", guarding="tool-breaker" not in settings.without, blame=blamed),
            limit_metrics.bulkhead("tool", settings),
            timeout=settings.tool_timeout,
            optional="tool-fallback" not in settings.without,
        )
        models = make_models(settings, metrics, limit_metrics)
        patience = settings.cache_timeout if "cache-timeout" not in settings.without else 60.0
        redis = connect(settings, patience)
        redis_breaker = metrics.breaker("redis", blame=speaks_of_redis)
        limits = limit_metrics.limits(settings, redis, redis_breaker, patience)
        cache = RedisCache(
            redis,
            redis_breaker,
            timeout=patience,
            optional="cache-fallback" not in settings.without,
            box=settings.box,
        )
        # A worker asks for no tokens, and its leases are timed by the database.
        minding = not working and "clock-check" not in settings.without
        denied = Throttling().share if not working and "throttle-check" not in settings.without else None
        readiness = Readiness(
            probes,
            batches,
            skew=settings.clock_skew if minding else None,
            box=settings.box,
            throttled=denied,
        )
        runner = Runner(
            pool,
            build(),
            cache,
            retriever,
            tool,
            models,
            replica=settings.node,
            deadline=settings.request_deadline,
            # The line before the pool is shed like the one before the gate.
            start_within=settings.start_within
            if "shedding" not in settings.without
            else settings.request_deadline,
            idempotent="idempotency" not in settings.without,
            serve_stale="stale-answers" not in settings.without,
            standby=reading if "read-only" not in settings.without else None,
            budget_micros=round(settings.session_budget_usd * 1e6)
            if "budget" not in settings.without
            else None,
            box=settings.box,
            flights=Flights() if "single-flight" not in settings.without else None,
            on_retry=metrics.retries.inc,
            on_trouble=readiness.wake,
        )
        ingester = BoundedIngester(
            Ingester(ingesting, batches, settings.request_deadline, one_space=one_space, box=settings.box),
            # A connection is left for searches and for the watch of the primary's position.
            limit_metrics.bulkhead("documents", settings, settings.documents_pool_size - 1, wait_s=1.0),
        )
        async with httpx.AsyncClient(timeout=0.7) as client, tools:
            dependencies = {
                "postgres": Dependency(postgres(probes), vital=True),
                "redis": Dependency(cache.ping),
                "llm-primary": Dependency(provider(client, settings.llm_primary_url)),
                "llm-fallback": Dependency(provider(client, settings.llm_fallback_url)),
                "tool": Dependency(answers(client, f"{settings.tool_url}/health/live")),
            }
            app.state.parts = Parts(settings, metrics, runner, readiness, dependencies, ingester, limits)
            app.state.jobs = Jobs(pool, settings.request_deadline, settings.box, on_trouble=readiness.wake)
            pools = (pool, probes, documents, ingesting, reading)
            metrics.pools(pools)
            for opened in pools:
                await opened.open(wait=False)
            watching = [
                asyncio.create_task(readiness.watch()),
                asyncio.create_task(readiness.embed()),
                asyncio.create_task(watermarks.watch(ingesting)),
            ]
            # What is loaded now stays: full collections would only stall requests.
            gc.collect()
            gc.freeze()
            log.info("started", extra={"zone": settings.zone, "role": settings.role})
            consumer = consuming(settings, metrics, runner, models, readiness) if working else nullcontext()
            async with consumer:
                yield
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await asyncio.gather(*(opened.close(1.0) for opened in pools), redis.aclose())
            log.info("stopped")

    # A worker answers its probes only: users come through the front, which knows the app replicas.
    return make_app(metrics, lifespan, () if working else (api.users, jobs_api.routes))


def _embedders(settings: Settings, breaker: Breaker) -> tuple[OpenAIEmbedder, OpenAIEmbedder]:
    """For questions, which must be quick, and for batches of documents."""
    client, model = embeddings(settings.llm_primary_url), f"{settings.llm_model}-embedding"
    quick = OpenAIEmbedder(client, model, breaker, timeout=settings.embed_timeout)
    batches = OpenAIEmbedder(client, model, breaker, timeout=settings.ingest_timeout)
    return quick, batches


class DrainingServer(uvicorn.Server):
    """On the first SIGTERM or SIGINT: not ready for `drain` seconds while serving, then stop accepting."""

    def __init__(self, config: uvicorn.Config, *, drain: float, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain = drain
        self._on_drain = on_drain
        self._draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The balancer sees 503 on /health/ready and sends work elsewhere; a second signal stops at once."""
        if self._draining:
            super().handle_exit(sig, frame)
            return
        self._draining = True
        self._on_drain()
        log.warning("draining", extra={"seconds": self._drain})
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(lambda: loop.call_later(self._drain, self._stop))

    def _stop(self) -> None:
        # Not by uvicorn's own handler: it would raise the signal again at the end, and a drained process
        # would look like a killed one.
        self.should_exit = True


def listen_addresses(hostname: str) -> list[str]:
    """The pod's own IPv4 addresses and loopback; the wildcard would collide with the sidecar's listeners."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(hostname, None, socket.AF_INET)}
    except socket.gaierror:
        found = set()
    own = sorted(address for address in found if not address.startswith("127."))
    return [*own, "127.0.0.1"]


def bind(addresses: list[str], port: int) -> list[socket.socket]:
    """Listening sockets; raises OSError naming the address."""
    sockets = []
    for address in addresses:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((address, port))
        except OSError as error:
            raise OSError(error.errno, f"cannot listen on {address}:{port}: {error.strerror}") from error
        sockets.append(made)
    return sockets


def _take_secrets(settings: Settings) -> None:
    """Move the secrets of the environment into files that can be replaced, where there is a folder for them.

    Raises ValueError where content would be stored as it is though nobody asked for that.
    """
    if settings.secrets_dir:
        given = {
            JWT_KEYS: json.dumps(dict(token_keys(settings.jwt_secret))),
            CONTENT_KEYS: settings.content_keys,
            DATABASE_PASSWORD: conninfo_to_dict(settings.database_url).get("password", ""),
            TLS_CA: settings.tls_ca,
        }
        plant(Path(settings.secrets_dir), {name: str(text) for name, text in given.items() if text})
    for name in ("JWT_SECRET", "CONTENT_KEYS", "DATABASE_URL"):
        os.environ.pop(name, None)
    if not settings.box.seals:
        raise ValueError("CONTENT_KEYS must be set: without it conversations would be stored as they are")


def main() -> None:
    """Serve until a signal; exits non-zero when the settings are wrong or the port is taken."""
    # Tracing to LangSmith is off by decree, not by the absence of a key.
    os.environ["LANGSMITH_TRACING"] = "false"
    settings = Settings.from_env(os.environ)
    configure(settings.node, settings.log_level, settings.secrets.words)
    _take_secrets(settings)
    if settings.trace_ratio:
        tracing.configure(settings.node, settings.trace_ratio)
    app = make_service(settings)
    config = uvicorn.Config(
        app,
        # Not uvloop: a call to Redis over TLS that is given up can crash its process (docs/findings.md).
        loop="asyncio",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=8,
    )
    server = DrainingServer(config, drain=settings.drain, on_drain=lambda: app.state.parts.readiness.drain())
    addresses = list(settings.listen) or listen_addresses(socket.gethostname())
    server.run(sockets=bind(addresses, settings.port))
