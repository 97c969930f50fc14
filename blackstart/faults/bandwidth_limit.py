"""Bandwidth limit: what an instance sends to its peers goes through a narrow link that all of it shares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._network import ALL
from blackstart.faults._registry import constructor, register
from blackstart.faults._shaping import CLASS, ShapingFault
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode
from blackstart.model.sizes import Size, rate_bytes

# Sends so many datagrams of about 1 kB, then says what the scheduler made of them.
_PROBE = r"""
text=$(printf '%01000d' 0); exec 3<>"/dev/udp/$1/9" || exit
for ((n = 0; n < $2; n++)); do echo "$text" >&3; done 2>/dev/null
tc -s qdisc show dev "$3" parent "$4"
"""


@register
@dataclass(frozen=True)
class BandwidthLimit(ShapingFault):
    """Let at most `rate` leave `target` for `peers`, all connections together, by a token bucket.

    What queues for longer than 400 ms is dropped. For the other direction limit the peers.
    """

    kind: ClassVar[str] = "bandwidth_limit"
    mode: ClassVar[Mode] = Mode.SLOW
    scheduler: ClassVar[str] = "tbf"

    rate: Size = "1Mbit/s"

    def __post_init__(self) -> None:
        super().__post_init__()
        if rate_bytes(self.rate) < 1000:
            raise ConfigError(f"a rate of {self.rate!r} is too low; valid is 1kB/s (8kbit/s) or more")

    def parameters(self) -> str:
        """See ShapingFault.parameters."""
        return f"rate {8 * rate_bytes(self.rate)}bit burst {self._burst()} latency 400ms"

    def bite(self, site: Site, undo: Undo) -> str:
        """More than the bucket holds was sent, and the scheduler held some of it back."""
        (probe,) = undo.data["probes"]
        often = (self._burst() + rate_bytes(self.rate) // 10) // 1000 + 4
        if often > 2000:
            return f"tbf {self.parameters()}; more than a probe can fill"
        argv = ["bash", "-c", _PROBE, "probe", probe["address"], str(often), probe["dev"], CLASS]
        told = site.platform.exec(probe["from"], argv).output
        held = re.search(r"dropped (\d+), overlimits (\d+)", told)
        if held is None or held[2] == "0":
            raise BiteError(f"{probe['from']}: nothing was held back: {told.strip()[-300:]}")
        return f"tbf {self.parameters()}: held back {held[2]} times"

    def _burst(self) -> int:
        """Bytes that may leave at once: two full packets, or what a tick of the kernel lets through."""
        return max(3200, rate_bytes(self.rate) // 100)


@constructor
def bandwidth_limit(
    target: str, rate: Size = "1Mbit/s", peers: str | Sequence[str] = ALL, **options: Unpack[Options]
) -> BandwidthLimit:
    """Narrow an instance's uplink: `bandwidth_limit("pg-1", "2Mbit/s", peers="pg-2")`."""
    return BandwidthLimit(target, peers, rate, **options)
