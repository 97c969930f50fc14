"""Answers that come late, slowly, or not at all. Taking the fault back releases whoever waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..answers import Answer, Chat
from .base import Wire, WireFault, register, require


@register
@dataclass(frozen=True)
class Hang(WireFault[Answer]):
    """Nothing comes, with `headers` nothing after the headers; reset when the fault is taken back."""

    name: ClassVar[str] = "hang"
    headers: bool = False

    async def send(self, wire: Wire, frames: list[bytes]) -> None:
        """See WireFault.send."""
        if self.headers:
            await wire.begin()
        await wire.pause(None)
        await wire.reset()


@register
@dataclass(frozen=True)
class SlowFirstToken(WireFault[Answer]):
    """The first byte of the body `delay_s` late; the headers too unless `headers`."""

    name: ClassVar[str] = "slow_first_token"
    delay_s: float = 5.0
    headers: bool = False

    def __post_init__(self) -> None:
        require("delay_s", self.delay_s, (int, float), 0.001, 3600)

    async def send(self, wire: Wire, frames: list[bytes]) -> None:
        """See WireFault.send."""
        if self.headers:
            await wire.begin()
        await wire.pause(self.delay_s)
        await super().send(wire, frames)


@register
@dataclass(frozen=True)
class SlowTokens(WireFault[Chat]):
    """`gap_s` before each token but the first; an answer that is not streamed comes late by their sum."""

    name: ClassVar[str] = "slow_tokens"
    endpoints: ClassVar[tuple[str, ...]] = ("chat",)
    gap_s: float = 0.2

    def __post_init__(self) -> None:
        require("gap_s", self.gap_s, (int, float), 0.001, 3600)

    async def send(self, wire: Wire, frames: list[bytes]) -> None:
        """See WireFault.send."""
        if not wire.answer.streamed:
            await wire.pause(self.gap_s * (wire.answer.tokens - 1))
        for number, frame in enumerate(frames):
            if number:
                await wire.pause(self.gap_s)
            await wire.write(frame)
