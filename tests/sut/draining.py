"""A process of the service whose one turn lasts until the server stops accepting; prints its port first.

`python -m tests.sut.draining SECRET`
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field

import uvicorn

from sut.app.service.api import Parts, make_app
from sut.app.service.config import Settings
from sut.app.service.database import make_pool
from sut.app.service.main import DrainingServer, bind
from sut.app.service.metrics import Metrics
from sut.app.service.readiness import Readiness
from sut.app.service.runner import Emit
from sut.app.service.state import Answer, Turn

from .fakes import FakeIngester, FakeRunner, NoEmbedder


@dataclass
class Lasting(FakeRunner):
    """Answers when its server is about to end."""

    servers: list[uvicorn.Server] = field(default_factory=list)

    async def run(self, turn: Turn, emit: Emit | None = None) -> Answer:
        """As TurnRunner."""
        print("turn begun", flush=True)
        while not self.servers[0].should_exit:
            await asyncio.sleep(0.01)
        return Answer("finished", (), "model-1")


def main(secret: str) -> None:
    """Serve until a signal."""
    metrics, runner = Metrics(), Lasting()
    pool = make_pool("postgresql://nowhere/", name="unused", size=1, check_timeout=1)
    readiness = Readiness(pool, NoEmbedder())
    readiness.reason = None
    app = make_app(metrics)
    app.state.parts = Parts(Settings(jwt_secret=secret), metrics, runner, readiness, {}, FakeIngester())
    config = uvicorn.Config(app, loop="asyncio", http="httptools", log_config=None)
    server = DrainingServer(config, drain=1.0, on_drain=readiness.drain)
    runner.servers.append(server)
    [listening] = bind(["127.0.0.1"], 0)
    print(listening.getsockname()[1], flush=True)
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1])
