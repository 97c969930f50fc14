"""Disk full: nothing more can be written to a disk of an instance."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers, start_again
from blackstart.faults._inside import refuse_to_starve_the_host, shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.model.errors import BiteError, ConfigError
from blackstart.model.modes import Mode
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack
from blackstart.platforms.capabilities import disk_place

# In KiB; the disks are memory of the host.
_FREE = """df -Pk -- "$@" | awk 'NR > 1 { n += $4 } END { print n }'"""
_FILL = 'cat /dev/zero >"$1" 2>/dev/null; :'
_REMOVE = 'rm -f -- "$@"'
# A block of its own, since a file's last block may have room.
_WRITE = 'head -c 65536 /dev/zero >"$1"; code=$?; rm -f -- "$1"; exit "$code"'


@register
@dataclass(frozen=True)
class DiskFull(Fault):
    """Fill the declared disk `path` (None: the only one) of each `target` with a ballast file.

    The ballast is written and removed by the container that keeps the disks: it needs no memory of the
    service's, and can be taken away whatever the full disk did to the service. One that ended is started.
    """

    kind: ClassVar[str] = "disk_full"
    mode: ClassVar[Mode] = Mode.STARVED
    takes_out: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("exec", "kill")
    expires_in_place: ClassVar[bool] = True
    grace: ClassVar[float] = 20.0

    target: str
    path: str | None = None

    def validate(self, stack: Stack) -> None:
        """ConfigError names the disks there are, if an instance that may be meant lacks this one."""
        super().validate(stack)
        selector = Selector.parse(self.target)
        for instance in stack.instances:
            if selector.name in (instance.name, instance.service):
                self._disk(instance.name, tuple(instance.disks))

    def plan(self, site: Site) -> Undo:
        """InjectionError if the disks, which are memory of the host, are too large for it."""
        id = fresh_id()
        names = containers(site, self.target)
        disks = {
            name: self._disk(i.name, tuple(i.disks))
            for name, i in zip(names, site.resolve(self.target), strict=True)
        }
        places = [disk_place(i.name, disks[site.container(i.name)]) for i in site.resolve(self.target)]
        free = int(shell(site.platform, site.keeper, _FREE, *places))
        refuse_to_starve_the_host(site.platform, site.keeper, free)
        ballast = [f"{place}/.blackstart-ballast-{id}" for place in places]
        manual = f"docker exec {site.keeper} rm -f {shlex.join(ballast)}"
        expiry = {site.keeper: ["rm", "-f", "--", *ballast]}
        data = {"keeper": site.keeper, "ballast": ballast, "disks": disks}
        return Undo(self.kind, site.run_id, (*names, site.keeper), data, manual, expiry, id)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for path in undo.data["ballast"]:
            shell(site.platform, undo.data["keeper"], _FILL, path, timeout=60)

    def bite(self, site: Site, undo: Undo) -> str:
        """A write inside the service's container fails for want of space."""
        felt = []
        for name, path in undo.data["disks"].items():
            if not site.platform.is_running(name):
                felt.append(f"{name} has ended")
                continue
            probe = f"{path}/.blackstart-probe-{undo.id}"
            tried = site.platform.exec(name, ["sh", "-c", _WRITE, "sh", probe])
            if tried.code == 0 or "No space left" not in tried.output:
                raise BiteError(f"{name}: a write to {path} does not fail: {tried.output.strip()}")
            felt.append(f"{name}: no space left on {path}")
        return ", ".join(felt)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Remove the ballast, and start a service that ended."""
        shell(platform, undo.data["keeper"], _REMOVE, *undo.data["ballast"])
        start_again(undo.data["disks"], platform)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """The ballast is gone, and the service's container can write again."""
        if left := shell(
            platform, undo.data["keeper"], 'ls -d -- "$@" 2>/dev/null || :', *undo.data["ballast"]
        ):
            return f"still there: {left}"
        for name, path in undo.data["disks"].items():
            if not platform.is_running(name):
                return f"{name} is down"
            tried = platform.exec(name, ["sh", "-c", _WRITE, "sh", f"{path}/.blackstart-probe-{undo.id}"])
            if tried.code != 0:
                return f"{name} cannot write to {path}: {tried.output.strip()}"
        return None

    def _disk(self, instance: str, declared: tuple[str, ...]) -> str:
        if self.path in declared:
            return str(self.path)
        if self.path is None and len(declared) == 1:
            return declared[0]
        wanted = f"no disk {self.path!r}" if self.path is not None else "not exactly one disk"
        raise ConfigError(f"{instance} has {wanted}; declared: {', '.join(declared) or 'none'}")


@constructor
def disk_full(target: str, path: str | None = None, **options: Unpack[Options]) -> DiskFull:
    """Fill a disk that the stack declares for `target`: `disk_full("store", path="/data")`."""
    return DiskFull(target, path, **options)
