"""The sample's model provider as a process of its own, and as a container; and a fault brought upon it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from blackstart.faults import Fault, Undo
from blackstart.model.stack import Instance, Stack
from blackstart.platforms.waiting import wait_for, wait_until
from tests.llmstack import stack as declared

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Place:
    """A site with one provider at `port`; its own platform."""

    port: int
    run_id: str = "r1"
    stack: Stack = declared

    @property
    def platform(self) -> Place:
        return self

    def resolve(self, selector: str) -> tuple[Instance, ...]:
        return self.stack.instances

    def container(self, instance: str) -> str:
        return f"bs-{instance}"

    def sidecar(self, instance: str) -> str:
        return f"bs-{instance}-net"

    def url(self, instance: str, port: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def bindings(self, name: str) -> Mapping[int, int]:
        return {8080: self.port}


@dataclass(frozen=True)
class Provider:
    """A provider that faults strike at `site`. `direct` is where no proxy of any kind lies between."""

    site: Any
    url: str
    direct: tuple[str, int]

    def told(self) -> dict[str, Any]:
        """What it counted."""
        return dict(requests.get(self.url + "/admin/requests", timeout=3).json())

    def scripts(self) -> dict[str, Any]:
        """The scripts in force."""
        return dict(requests.get(self.url + "/admin/script", timeout=3).json()["scripts"])

    def reset(self) -> None:
        """Forget all."""
        requests.post(self.url + "/admin/reset", timeout=3).raise_for_status()

    @contextmanager
    def struck(self, fault: Fault) -> Iterator[str]:
        """The fault in force from plan to undo; gives its bite."""
        undo = fault.plan(self.site)
        try:
            fault.inject(self.site, undo)
            yield fault.bite(self.site, undo)
            assert type(fault).undone(undo, self.site.platform) is not None
        finally:
            self.mend(fault, undo)

    def mend(self, fault: Fault, undo: Undo) -> None:
        """Undo, from the record as the journal holds it."""
        record = Undo.from_dict(undo.to_dict())
        type(fault).undo(record, self.site.platform)
        wait_until("undone", lambda: type(fault).undone(record, self.site.platform), limit="5s")


@contextmanager
def process() -> Iterator[Provider]:
    """The provider as a process, without latency."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "PORT": str(port),
        "LISTEN": "127.0.0.1",
        "NODE_NAME": "llm-1",
        "MODEL_NAME": "sample-llm-1",
        "SEED": "1",
        "LATENCY_MS": "0",
    }
    running = subprocess.Popen([sys.executable, "-m", "sut.llm.provider"], env=env, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(
            "the provider", lambda: requests.get(url + "/health/live", timeout=1).ok or None, limit="20s"
        )
        yield Provider(Place(port), url, ("127.0.0.1", port))
    finally:
        running.kill()
        running.wait()
