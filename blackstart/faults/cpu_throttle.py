"""CPU throttle: a container gets less processor time than it asks for, as under a limit set too low."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers, on_each
from blackstart.faults._inside import shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, ConfigError, InjectionError
from blackstart.model.modes import Mode

# Asks for `$1` whole processors for a while: the kernel counts the periods that it cut short.
_PROBE = """
throttled() {
  cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu/cpu.stat 2>/dev/null | awk '/^nr_throttled/ { print $2 }'
}
before=$(throttled)
for n in $(seq "$1"); do timeout 0.4 sh -c 'while :; do :; done' & done; wait; echo "$before $(throttled)"
"""


@register
@dataclass(frozen=True)
class CpuThrottle(Fault):
    """Let the service of `target` use `cpus` processors (0.1 is a tenth of one); its sidecar keeps its own.

    Nothing inside the container could lift the limit, so no helper there ends it.
    """

    kind: ClassVar[str] = "cpu_throttle"
    mode: ClassVar[Mode] = Mode.STARVED
    persistent: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("limit", "exec")

    target: str
    cpus: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.01 <= self.cpus <= 64:
            raise ConfigError(f"cpus={self.cpus} is no share of processors; valid are 0.01 to 64")

    def plan(self, site: Site) -> Undo:
        """Records the limit that each container has now; InjectionError if there is no more than `cpus`."""
        names = containers(site, self.target)
        for name in names:
            if self.cpus >= (there := int(shell(site.platform, name, "nproc"))):
                raise InjectionError(f"{name}: cpus={self.cpus} is no limit where there are {there}")
        before = {name: site.platform.cpu_limit(name) for name in names}
        manual = "; ".join(
            f"docker update --cpu-quota {round(cpus * 100_000) if cpus else -1} {shlex.quote(name)}"
            for name, cpus in before.items()
        )
        return Undo(self.kind, site.run_id, names, {"before": before}, manual)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name in undo.targets:
            site.platform.limit_cpu(name, self.cpus)

    def bite(self, site: Site, undo: Undo) -> str:
        """Busy loops inside each container, more than may run, are cut short by the kernel."""
        loops = str(math.floor(self.cpus) + 1)
        felt = []
        for name in undo.targets:
            counts = [int(word) for word in shell(site.platform, name, _PROBE, loops).split()]
            if len(counts) != 2 or counts[1] <= counts[0]:
                raise BiteError(f"{name}: {loops} busy loops are not throttled: {counts}")
            felt.append(f"{name} throttled in {counts[1] - counts[0]} periods of 100 ms")
        return ", ".join(felt)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Put back the limit of before, which may be none."""
        before = undo.data["before"]
        on_each(before, lambda name: platform.limit_cpu(name, before[name]))

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        for name, cpus in undo.data["before"].items():
            if (now := platform.cpu_limit(name)) != cpus:
                return f"{name} may use {now} processors, not {cpus or 'all'}"
        return None


@constructor
def cpu_throttle(target: str, cpus: float = 0.1, **options: Unpack[Options]) -> CpuThrottle:
    """Limit the processors of `target`: `cpu_throttle("app-1", cpus=0.2)`."""
    return CpuThrottle(target, cpus, **options)
