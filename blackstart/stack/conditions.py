"""Conditions: what must hold for an instance to be ready and for a stack to be steady."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import requests

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack


class Condition(Protocol):
    """Something that holds or does not. `instance` is empty for a condition of the whole stack."""

    def check(self, running: RunningStack, instance: str) -> str | None:
        """None if it holds, else what is still wrong. May raise; that counts as wrong."""
        ...


@dataclass(frozen=True)
class HttpReady:
    """A GET of `path` on the published port named `port` answers `status` within `timeout` seconds."""

    port: str
    path: str
    status: int = 200
    timeout: float = 2.0

    def check(self, running: RunningStack, instance: str) -> str | None:
        answer = requests.get(
            running.url(instance, self.port, self.path),
            timeout=self.timeout,
            allow_redirects=False,
            headers={"Connection": "close"},
        )
        if answer.status_code == self.status:
            return None
        return f"GET {self.path} answers {answer.status_code}: {answer.text[:200].strip()}"

    def __str__(self) -> str:
        return f"GET {self.port}{self.path} = {self.status}"


@dataclass(frozen=True)
class Speaks:
    """Whoever listens on the published port named `port` answers `say` with a line that begins `expect`."""

    port: str
    say: str
    expect: str
    timeout: float = 2.0

    def check(self, running: RunningStack, instance: str) -> str | None:
        with socket.create_connection(running.address(instance, self.port), self.timeout) as connection:
            connection.sendall(self.say.encode() + b"\r\n")
            with connection.makefile("r", encoding="utf-8", errors="replace") as answers:
                line = answers.readline().strip()
        return None if line.startswith(self.expect) else f"{self.say} answers {line!r}"

    def __str__(self) -> str:
        return f"{self.say} on {self.port} = {self.expect}"


@dataclass(frozen=True)
class Command:
    """A command run inside the instance ends with 0, and its output contains `expect`."""

    argv: tuple[str, ...]
    expect: str = ""
    timeout: float = 5.0

    def check(self, running: RunningStack, instance: str) -> str | None:
        result = running.exec(instance, self.argv, self.timeout)
        if result.code == 0 and self.expect in result.output:
            return None
        return f"`{' '.join(self.argv)}` ends with {result.code}: {result.output[-200:].strip()}"

    def __str__(self) -> str:
        return " ".join(self.argv)


@dataclass(frozen=True)
class Named:
    """A condition of the whole stack; `fn(running)` returns None if it holds, else what is wrong."""

    name: str
    fn: Callable[[RunningStack], str | None]

    def check(self, running: RunningStack, instance: str = "") -> str | None:
        return self.fn(running)

    def __str__(self) -> str:
        return self.name
