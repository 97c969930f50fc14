"""Puts the parts together and serves them until SIGTERM, then drains."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import httpx
import uvicorn
from fastapi import FastAPI
from psycopg.conninfo import conninfo_to_dict

from . import tracing
from .api import Parts, make_app
from .cache import RedisCache, connect
from .config import Settings
from .database import make_pool
from .graph import build
from .health import Dependency, postgres, provider
from .llm import Models, OpenAIEmbedder, chat_model, embeddings
from .logs import configure
from .metrics import Metrics
from .readiness import Readiness
from .retrieval import VectorRetriever
from .runner import Runner
from .secretfiles import CONTENT_KEYS, DATABASE_PASSWORD, FIRST_KID, JWT_KEYS, plant

log = logging.getLogger(__name__)


def make_service(settings: Settings) -> FastAPI:
    """The app whose lifespan opens the pools and watches the dependencies; waits for none of them."""
    metrics = Metrics(
        breakers="breakers" not in settings.without, one_probe="one-probe" not in settings.without
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = make_pool(
            settings.database_dsn,
            name="turns",
            size=settings.pool_size,
            check_timeout=settings.check_timeout,
        )
        # The probes' own: behind slow turns they would wait, and call a replica unready that is only busy.
        probes = make_pool(settings.database_dsn, name="probes", size=1, check_timeout=settings.check_timeout)
        documents = make_pool(
            partial(settings.database_dsn, settings.retrieval_dsn),
            name="documents",
            size=settings.documents_pool_size,
            check_timeout=settings.retrieve_timeout / 2,
            writable=False,
        )
        # A breaker for each of the provider's endpoints: on a common one, embeddings that go well would keep
        # closed what chats that fail should open.
        embedder = OpenAIEmbedder(
            embeddings(settings.llm_primary_url, f"{settings.llm_model}-embedding", settings.embed_timeout),
            metrics.breaker("embeddings"),
            timeout=settings.embed_timeout,
        )
        models = Models(
            chat_model(settings.llm_primary_url, settings.llm_model, settings.llm_timeout),
            chat_model(settings.llm_fallback_url, settings.llm_model, settings.llm_timeout),
            metrics.breaker("llm-primary"),
            timeout=settings.llm_timeout,
        )
        patience = settings.cache_timeout if "cache-timeout" not in settings.without else 60.0
        redis = connect(settings.redis_sentinels, settings.redis_master, patience)
        cache = RedisCache(
            redis,
            metrics.breaker("redis"),
            timeout=patience,
            optional="cache-fallback" not in settings.without,
            box=settings.box,
        )
        readiness = Readiness(probes, embedder)
        runner = Runner(
            pool,
            build(),
            cache,
            VectorRetriever(documents, embedder, timeout=settings.retrieve_timeout),
            models,
            replica=settings.node,
            deadline=settings.request_deadline,
            start_within=settings.start_within,
            idempotent="idempotency" not in settings.without,
            box=settings.box,
            on_retry=metrics.retries.inc,
            on_trouble=readiness.wake,
        )
        async with httpx.AsyncClient(timeout=0.7) as client:
            dependencies = {
                "postgres": Dependency(postgres(probes), vital=True),
                "redis": Dependency(cache.ping),
                "llm-primary": Dependency(provider(client, settings.llm_primary_url)),
                "llm-fallback": Dependency(provider(client, settings.llm_fallback_url)),
            }
            app.state.parts = Parts(settings, metrics, runner, readiness, dependencies)
            pools = (pool, probes, documents)
            metrics.pools(pools)
            for opened in pools:
                await opened.open(wait=False)
            watching = [asyncio.create_task(readiness.watch()), asyncio.create_task(readiness.embed())]
            # What is loaded now stays: full collections would only stall requests.
            gc.collect()
            gc.freeze()
            log.info("started", extra={"zone": settings.zone})
            yield
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await asyncio.gather(*(opened.close(1.0) for opened in pools), redis.aclose())
            log.info("stopped")

    return make_app(metrics, lifespan)


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
            JWT_KEYS: json.dumps({FIRST_KID: settings.jwt_secret}),
            CONTENT_KEYS: settings.content_keys,
            DATABASE_PASSWORD: conninfo_to_dict(settings.database_url).get("password", ""),
        }
        plant(Path(settings.secrets_dir), {name: str(text) for name, text in given.items() if text})
    for name in ("JWT_SECRET", "CONTENT_KEYS", "DATABASE_URL"):
        os.environ.pop(name, None)
    if "encryption" not in settings.without and not settings.box.seals:
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
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=8,
    )
    server = DrainingServer(config, drain=settings.drain, on_drain=lambda: app.state.parts.readiness.drain())
    addresses = list(settings.listen) or listen_addresses(socket.gethostname())
    server.run(sockets=bind(addresses, settings.port))
