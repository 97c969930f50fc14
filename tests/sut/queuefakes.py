"""A queue in memory: leases and a stream as a worker sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sut.app.service.leases import Claim, LeaseLost, Verdict
from sut.app.service.state import Answer
from sut.app.service.stream import Hint
from sut.app.service.usage import NOTHING, Usage


def claim(seq: int = 7, *, epoch: int = 1, kind: str = "summary", **more: Any) -> Claim:
    """A claim of the user ann."""
    known: dict[str, Any] = {"session": "s1", "input": "How?", "trace_id": "0" * 32}
    return Claim(seq=seq, epoch=epoch, deliveries=1, subject="ann", id=f"k{seq}", kind=kind, **known | more)


@dataclass
class FakeLeases:
    """Notes what is written; `lost` is what another worker's claim would bring about."""

    verdict: Verdict = Verdict.TAKE
    claimed: Claim = field(default_factory=claim)
    lost: bool = False
    broken: list[Exception] = field(default_factory=list)
    written: list[tuple[Any, ...]] = field(default_factory=list)
    billed: Usage = NOTHING
    renewed: asyncio.Event = field(default_factory=asyncio.Event)
    lease: float = 4.0
    reclaim: bool = True

    async def claim(self, seq: int) -> tuple[Verdict, Claim | None]:
        """As Leases."""
        return self.verdict, self.claimed if self.verdict is Verdict.TAKE else None

    async def renew(self, claim: Claim) -> bool:
        """As Leases."""
        self.renewed.set()
        return not self.lost

    async def store(self, claim: Claim, answer: Answer) -> float:
        """As Leases."""
        self._write("store", answer.text, usage=answer.usage)
        return 1.5

    async def ask(self, claim: Claim, thread: str, question: str, usage: Usage = NOTHING) -> None:
        """As Leases."""
        self._write("ask", thread, question, usage=usage)

    async def end(self, claim: Claim, status: str, reason: str, usage: Usage = NOTHING) -> None:
        """As Leases."""
        self._write("end", status, reason, usage=usage)

    async def give_back(
        self, claim: Claim, reason: str, *, delay: float, counted: bool, usage: Usage = NOTHING
    ) -> None:
        """As Leases."""
        self._write("give back", reason, delay, counted, usage=usage)

    def _write(self, *what: Any, usage: Usage) -> None:
        if self.broken:
            raise self.broken.pop(0)
        if self.lost:
            raise LeaseLost
        self.written.append(what)
        self.billed += usage


@dataclass
class FakeStream:
    """Hands out `new` and `left`; notes what is kept, dropped and published."""

    new: list[Hint] = field(default_factory=list)
    left: list[Hint] = field(default_factory=list)
    dropped: list[Hint] = field(default_factory=list)
    kept: list[Hint] = field(default_factory=list)
    published: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    trouble: Callable[[str], Exception | None] = lambda call: None

    async def prepare(self) -> None:
        """As JobStream."""
        self._called("prepare")

    async def publish(self, jobs: list[int]) -> None:
        """As JobStream."""
        self._called("publish")
        self.published += jobs

    async def pending(self) -> int:
        """As JobStream."""
        self._called("pending")
        return 3

    async def fetch(self, count: int, *, wait: float) -> list[Hint]:
        """As JobStream."""
        self._called("fetch")
        given, self.new = self.new[:count], self.new[count:]
        await asyncio.sleep(0 if given else wait)
        return given

    async def reclaim(self, count: int, *, idle: float) -> list[Hint]:
        """As JobStream."""
        self._called("reclaim")
        given, self.left = self.left[:count], self.left[count:]
        return given

    async def keep(self, hint: Hint) -> None:
        """As JobStream."""
        self._called("keep")
        self.kept.append(hint)

    async def drop(self, hint: Hint) -> None:
        """As JobStream."""
        self._called("drop")
        self.dropped.append(hint)

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if error := self.trouble(call):
            raise error
