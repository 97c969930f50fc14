"""Packet delay: what an instance sends to its peers arrives late, its handshakes too, as over a long way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._network import ALL
from blackstart.faults._registry import constructor, register
from blackstart.faults._shaping import ShapingFault
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode

# A datagram to a port where nobody listens; prints after how many ms the refusal came, if it did.
_PROBE = r"""
exec 3<>"/dev/udp/$1/9"; t0=${EPOCHREALTIME/./}; echo >&3
IFS= read -r -t "$2" -n 1 -u 3 _ 2>/dev/null; [ $? -le 128 ] || exit
echo $(( (${EPOCHREALTIME/./} - t0) / 1000 ))
"""


@register
@dataclass(frozen=True)
class PacketDelay(ShapingFault):
    """Hold back each packet that leaves `target` for `peers` by `delay`, give or take up to `jitter`.

    With jitter packets overtake each other. Needs a kernel with netem.
    """

    kind: ClassVar[str] = "packet_delay"
    mode: ClassVar[Mode] = Mode.SLOW
    scheduler: ClassVar[str] = "netem"

    delay: Duration = "100ms"
    jitter: Duration = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if seconds(self.delay) < 0.001:
            raise ConfigError(f"a delay of {self.delay!r} is too short; valid is 1 ms or more")
        if seconds(self.jitter) > seconds(self.delay):
            raise ConfigError(f"jitter {self.jitter!r} is more than the delay {self.delay!r}")
        if seconds(self.delay) + seconds(self.jitter) > 7:
            raise ConfigError(f"delay {self.delay!r} and jitter {self.jitter!r}; valid are 7 s together")

    def parameters(self) -> str:
        """See ShapingFault.parameters."""
        delay_us, jitter_us = (round(seconds(d) * 1e6) for d in (self.delay, self.jitter))
        return f"limit 10000 delay {delay_us}us" + (f" {jitter_us}us" if jitter_us else "")

    def bite(self, site: Site, undo: Undo) -> str:
        """A peer's answer to a datagram comes late."""
        (probe,) = undo.data["probes"]
        limit_s = seconds(self.delay) + seconds(self.jitter) + 1
        argv = ["bash", "-c", _PROBE, "probe", probe["address"], f"{limit_s:.1f}"]
        told = site.platform.exec(probe["from"], argv).output.split()
        if not told:
            raise BiteError(f"{probe['from']}: no answer within {limit_s:g} s")
        elapsed_ms = int(told[-1])
        if elapsed_ms < 900 * (seconds(self.delay) - seconds(self.jitter)):
            raise BiteError(
                f"{probe['from']}: answered after {elapsed_ms} ms, not {human(seconds(self.delay))} late"
            )
        return f"{probe['from']}: answered after {elapsed_ms} ms"


@constructor
def packet_delay(
    target: str,
    delay: Duration = "100ms",
    jitter: Duration = 0,
    peers: str | Sequence[str] = ALL,
    **options: Unpack[Options],
) -> PacketDelay:
    """Move an instance far away: `packet_delay("pg-2", "80ms", peers="pg-1")`."""
    return PacketDelay(target, peers, delay, jitter, **options)
