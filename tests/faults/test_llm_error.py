"""LLM errors, against the sample's provider in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from blackstart.faults import llm_error
from blackstart.model.errors import ConfigError, InjectionError
from blackstart.model.stack import Image, Instance, Stack
from blackstart.platforms.waiting import wait_for

ROOT = Path(__file__).parents[2]
IMAGE = Image("none", Path())
STACK = Stack(
    "fake", IMAGE, (Instance("llm-1", "llm", IMAGE, {"http": 8080}, publish=("http",), plays=("llm",)),)
)


@dataclass(frozen=True)
class Place:
    """A site with one provider, published at `port`; its own platform."""

    port: int
    run_id: str = "r1"
    stack: Stack = STACK

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


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "PORT": str(port), "LISTEN": "127.0.0.1", "NODE_NAME": "llm-1"}
    process = subprocess.Popen([sys.executable, "-m", "sut.llm.provider"], env=env, cwd=ROOT)
    try:
        wait_for("the provider", lambda: models(port) == 200 or None, limit="20s")
        yield Place(port)
    finally:
        process.kill()
        process.wait()


def models(port: int) -> int:
    return requests.get(f"http://127.0.0.1:{port}/v1/models", timeout=3).status_code


@pytest.mark.parametrize("status", [429, 503])
def test_calls_fail_are_counted_and_succeed_after_the_undo(place: Place, status: int) -> None:
    fault = llm_error("llm-1", status=status)
    undo = fault.plan(place)  # type: ignore[arg-type]
    fault.inject(place, undo)  # type: ignore[arg-type]
    assert fault.bite(place, undo) == f"llm-1 answers {status}"  # type: ignore[arg-type]
    assert models(place.port) == status
    told = requests.get(f"http://127.0.0.1:{place.port}/admin/requests", timeout=3).json()
    assert [c["path"] for c in told["scripted"]][-2:] == ["/v1/models", "/v1/models"]
    with pytest.raises(InjectionError, match="follows a script already"):
        fault.plan(place)  # type: ignore[arg-type]
    assert "still follows" in str(type(fault).undone(undo, place))  # type: ignore[arg-type]
    for _ in range(2):
        type(fault).undo(undo, place)  # type: ignore[arg-type]
    assert type(fault).undone(undo, place) is None  # type: ignore[arg-type]
    assert models(place.port) == 200


def test_a_status_that_is_no_error_is_refused() -> None:
    with pytest.raises(ConfigError, match="valid are 400 to 599"):
        llm_error("llm-1", status=200)


def test_a_port_that_is_not_published_is_answered_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="llm-1 publishes no port 'grpc'; it publishes: http"):
        llm_error("llm-1", port="grpc").validate(STACK)
