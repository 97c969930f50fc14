"""Memory hog: something in a container takes all the memory there is, until the kernel kills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._containers import kill_without
from blackstart.faults._held import HeldFault
from blackstart.faults._inside import refuse_to_starve_the_host, shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, InjectionError
from blackstart.model.modes import Mode

# tail keeps its last lines, and zeros have no line ends.
_HOG = "tail </dev/zero"

# The limit and the use in bytes, and the OOM kills so far, of either version of control groups.
_SEEN = """
cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null
cat /sys/fs/cgroup/memory.current /sys/fs/cgroup/memory/memory.usage_in_bytes 2>/dev/null
cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null \\
  | awk '$1 == "oom_kill" { print $2 }'
"""
_ADJUST = 'for p in "$@"; do echo "$adjust" >"/proc/$p/oom_score_adj"; done'
#: A limit above this, in bytes, is none.
_NO_LIMIT = 1 << 50


@register
@dataclass(frozen=True)
class MemoryHog(HeldFault):
    """Fill the memory of the container of each target up to its limit, until the kernel kills there.

    Whom it kills is the kernel's choice: the largest, which is the hog, if nothing of the service is larger.
    With `victim` the processes of that name are marked to die first; then the hog, still growing, is next.
    A container without a limit is refused, and a host without the memory for it: the hog would take it along.
    """

    kind: ClassVar[str] = "memory_hog"
    mode: ClassVar[Mode] = Mode.STARVED
    lasts: ClassVar[bool] = False
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("exec", "signal", "kill", "limit")
    grace: ClassVar[float] = 20.0
    #: A hog takes about a gigabyte a second, less where others are busy.
    bite_limit: ClassVar[float] = 30.0

    victim: str | None = None

    def details(self, site: Site, names: tuple[str, ...]) -> dict[str, Any]:
        """OOM kills so far, and who is to die with its score until now."""
        kills: dict[str, int] = {}
        scores: dict[str, dict[str, str]] = {}
        room = 0
        for name in names:
            headroom, kills[name] = _seen(site.platform, name)
            if headroom is None:
                raise InjectionError(f"{name} has no memory limit: a hog in it would take the host along")
            room += headroom
            if self.victim is None:
                continue
            pids = list(map(str, site.platform.pids(name, self.victim)))
            if not pids:
                raise InjectionError(f"{name} has no process {self.victim!r}")
            read = 'for p in "$@"; do cat "/proc/$p/oom_score_adj"; done'
            scores[name] = dict(zip(pids, shell(site.platform, name, read, *pids).split(), strict=True))
        refuse_to_starve_the_host(site.platform, names[0], room >> 10)
        return {"kills": kills, "scores": scores, "victim": self.victim}

    def command(self, name: str, data: Mapping[str, Any]) -> list[str]:
        """See HeldFault.command."""
        return ["sh", "-c", f"{_HOG}; :", data["tag"]]

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name, scores in undo.data["scores"].items():
            shell(site.platform, name, "adjust=1000; " + _ADJUST, *scores)
        super().inject(site, undo)

    def bite(self, site: Site, undo: Undo) -> str:
        """The kernel has counted an OOM kill in each container; with a victim, that one is gone."""
        felt = []
        for name in undo.targets:
            if not site.platform.is_running(name):
                if not site.platform.oom_killed(name):
                    raise BiteError(f"{name} is down, but not by an OOM kill")
                felt.append(f"{name} is down by an OOM kill")
                continue
            _, kills = _seen(site.platform, name)
            if kills <= undo.data["kills"][name]:
                raise BiteError(f"{name}: no OOM kill yet")
            before = {int(pid) for pid in undo.data["scores"].get(name, {})}
            left = before & set(site.platform.pids(name, self.victim)) if self.victim else set()
            if left:
                raise BiteError(f"{name}: {self.victim} lives: pids {sorted(left)}")
            who = f"{self.victim} among them" if self.victim else "the kernel chose whom"
            felt.append(f"{name}: {kills - undo.data['kills'][name]} OOM kills, {who}")
        return ", ".join(felt)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """End the hog, take the mark off victims that live, start containers that died of it."""
        super().undo(undo, platform)
        victim = undo.data["victim"]
        for name in undo.targets:
            alive = set(map(str, platform.pids(name, victim))) if victim else set()
            for pid, score in undo.data["scores"].get(name, {}).items():
                if pid in alive:
                    shell(platform, name, f"adjust={int(score)}; " + _ADJUST, pid)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        if wrong := super().undone(undo, platform):
            return wrong
        victim = undo.data["victim"]
        for name in undo.targets:
            if victim is not None and not platform.pids(name, victim):
                return f"{victim} is not back in {name}"
        return None

    @classmethod
    def escalate(cls, undo: Undo, platform: Platform) -> None:
        """Restart the containers whose victim nobody brings back."""
        if (victim := undo.data["victim"]) is not None:
            kill_without(victim, undo.targets, platform)
        cls.undo(undo, platform)


def _seen(platform: Platform, name: str) -> tuple[int | None, int]:
    """The bytes left up to the memory limit, if there is one, and the OOM kills so far."""
    limit, used, *kills = shell(platform, name, _SEEN).split()
    bytes_ = int(limit) if limit.isdigit() else _NO_LIMIT
    return (bytes_ - int(used) if bytes_ < _NO_LIMIT else None), int(kills[0]) if kills else 0


@constructor
def memory_hog(target: str, victim: str | None = None, **options: Unpack[Options]) -> MemoryHog:
    """Use up the memory of `target` until the kernel kills: `memory_hog("app-1", victim="python")`."""
    return MemoryHog(target, victim, **options)
