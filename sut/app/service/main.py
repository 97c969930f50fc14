"""Puts the parts together and serves them until SIGTERM, then drains."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType

import httpx
import uvicorn
from fastapi import FastAPI

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

log = logging.getLogger(__name__)


def make_service(settings: Settings) -> FastAPI:
    """The app whose lifespan opens the pools and watches the dependencies; waits for none of them."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = make_pool(
            settings.database_url,
            name="turns",
            size=settings.pool_size,
            check_timeout=settings.check_timeout,
        )
        documents = make_pool(
            settings.retrieval_dsn,
            name="documents",
            size=4,
            check_timeout=settings.retrieve_timeout / 2,
            writable=False,
        )
        llm_breaker = metrics.breaker("llm-primary")
        embedder = OpenAIEmbedder(
            embeddings(settings.llm_primary_url, f"{settings.llm_model}-embedding", settings.embed_timeout),
            llm_breaker,
            timeout=settings.embed_timeout,
        )
        models = Models(
            chat_model(settings.llm_primary_url, settings.llm_model, settings.llm_timeout),
            chat_model(settings.llm_fallback_url, settings.llm_model, settings.llm_timeout),
            llm_breaker,
            timeout=settings.llm_timeout,
        )
        redis = connect(settings.redis_sentinels, settings.redis_master, settings.cache_timeout)
        cache = RedisCache(redis, metrics.breaker("redis"), timeout=settings.cache_timeout)
        readiness = Readiness(pool, embedder)
        runner = Runner(
            pool,
            build(),
            cache,
            VectorRetriever(documents, embedder, timeout=settings.retrieve_timeout),
            models,
            replica=settings.node,
            deadline=settings.request_deadline,
            start_within=settings.start_within,
            on_retry=metrics.retries.inc,
            on_trouble=readiness.wake,
        )
        async with httpx.AsyncClient(timeout=0.7) as client:
            dependencies = {
                "postgres": Dependency(postgres(pool), vital=True),
                "redis": Dependency(cache.ping),
                "llm-primary": Dependency(provider(client, settings.llm_primary_url)),
                "llm-fallback": Dependency(provider(client, settings.llm_fallback_url)),
            }
            app.state.parts = Parts(settings, metrics, runner, readiness, dependencies)
            await pool.open(wait=False)
            await documents.open(wait=False)
            watching = [asyncio.create_task(readiness.watch()), asyncio.create_task(readiness.embed())]
            # What is loaded now stays: full collections would only stall requests.
            gc.collect()
            gc.freeze()
            log.info("started", extra={"zone": settings.zone})
            yield
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await asyncio.gather(pool.close(1.0), documents.close(1.0), redis.aclose())
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
        stop = super().handle_exit
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(lambda: loop.call_later(self._drain, stop, sig, frame))


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


def main() -> None:
    """Serve until a signal; exits non-zero when the settings are wrong or the port is taken."""
    # Tracing to LangSmith is off by decree, not by the absence of a key.
    os.environ["LANGSMITH_TRACING"] = "false"
    settings = Settings.from_env(os.environ)
    configure(settings.node, settings.log_level)
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
