"""CPU hog: busy loops inside a container compete with its service for the processors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults import _helpers
from blackstart.faults._held import HeldFault
from blackstart.faults._inside import shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode

_HOG = 'i=0; while [ "$i" -lt "$1" ]; do (while :; do :; done) & i=$((i + 1)); done; wait'

# Processor time, in hundredths of a second, that the hog has used, twice.
_USED = """
used() {
  for p in $(pgrep -g "$(pgrep -o -f "$1")"); do awk '{ print $14 + $15 }' "/proc/$p/stat"; done \
    | awk '{ sum += $1 } END { print sum + 0 }'
}
before=$(used "$1"); sleep 0.5; echo "$before $(used "$1")"
"""


@register
@dataclass(frozen=True)
class CpuHog(HeldFault):
    """Run `workers` busy loops in the container of each `target`, in the control group of its service."""

    kind: ClassVar[str] = "cpu_hog"
    mode: ClassVar[Mode] = Mode.STARVED

    workers: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.workers <= 256:
            raise ConfigError(f"workers={self.workers}: valid are 1 to 256 busy loops")

    def command(self, name: str, data: Mapping[str, Any]) -> list[str]:
        """See HeldFault.command."""
        return ["sh", "-c", _HOG, data["tag"], str(self.workers)]

    def bite(self, site: Site, undo: Undo) -> str:
        """The loops use at least a tenth of a processor."""
        felt = []
        for name in undo.targets:
            before, after = map(
                int, shell(site.platform, name, _USED, _helpers.pattern(undo.data["tag"])).split()
            )
            if (share := (after - before) / 50) < 0.1:
                raise BiteError(f"{name}: the busy loops use {share:.2f} processors")
            felt.append(f"{name}: busy loops use {share:.1f} processors")
        return ", ".join(felt)


@constructor
def cpu_hog(target: str, workers: int = 4, **options: Unpack[Options]) -> CpuHog:
    """Have busy loops compete with the service of `target`: `cpu_hog("app-1", workers=8)`."""
    return CpuHog(target, workers, **options)
