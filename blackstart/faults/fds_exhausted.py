"""File descriptors exhausted: a service that runs can open nothing more, so it accepts no new connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from blackstart.faults._containers import containers, on_each
from blackstart.faults._inside import by_hand, shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo
from blackstart.model.errors import BiteError, ConfigError, InjectionError
from blackstart.model.modes import Mode
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack

# pid, start time (the two tell a process from a later one), soft limit and lowest descriptor not in use.
_READ = """
for p in "$@"; do
  as() { setpriv --reuid="$(stat -c %u "/proc/$p")" --regid="$(stat -c %g "/proc/$p")" --clear-groups "$@"; }
  n=0; while as test -e "/proc/$p/fd/$n" -o -L "/proc/$p/fd/$n"; do n=$((n + 1)); done
  began=$(sed 's/.*) //' "/proc/$p/stat" | cut -d ' ' -f 20)
  echo "$p $began $(as prlimit --pid "$p" --nofile -o SOFT --noheadings) $n"
done
"""
# Sets soft limits, as the process's own user: another's needs a capability that containers lack. The hard
# limit stays, so that the soft one can be raised again.
_SET = """
while [ $# -gt 0 ]; do
  [ "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20)" != "$2" ] \\
    || setpriv --reuid="$(stat -c %u "/proc/$1")" --regid="$(stat -c %g "/proc/$1")" --clear-groups \\
      prlimit --pid "$1" --nofile="$3": || exit
  shift 3
done
"""
# Connects and looks whether the kernel still holds the connection in the queue of those not yet accepted.
_PROBE = """
exec 3<>"/dev/tcp/127.0.0.1/$1"; sleep 0.3
awk -v port="$(printf ':%04X$' "$1")" '
  $2 ~ port && $4 == "0A" && $5 !~ /:00000000$/ { n++ } END { print n + 0 }
' /proc/net/tcp /proc/net/tcp6 2>/dev/null
"""


@register
@dataclass(frozen=True)
class FdsExhausted(Fault):
    """Lower the limit of open files of the processes named `process` of `target` to what they have open.

    Who connects to the port named `port` (None: the only one) is kept waiting in the listener's queue. What
    is open stays open, and a descriptor that is closed can be used again.
    """

    kind: ClassVar[str] = "fds_exhausted"
    mode: ClassVar[Mode] = Mode.STARVED
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("exec", "signal", "kill")
    expires_in_place: ClassVar[bool] = True

    target: str
    process: str
    port: str | None = None

    def validate(self, stack: Stack) -> None:
        """ConfigError names the ports there are, if an instance that may be meant lacks this one."""
        super().validate(stack)
        selector = Selector.parse(self.target)
        for instance in stack.instances:
            if selector.name in (instance.name, instance.service):
                self._port(instance.name, instance.ports)

    def plan(self, site: Site) -> Undo:
        """Records each process with its limit; InjectionError if there is none."""
        names = containers(site, self.target)
        before: dict[str, list[list[str]]] = {}
        for name in names:
            pids = site.platform.pids(name, self.process)
            if not pids:
                raise InjectionError(f"{name} has no process {self.process!r}")
            lines = shell(site.platform, name, _READ, *map(str, pids)).splitlines()
            before[name] = [line.split() for line in lines]
            if len(lines) != len(pids) or any(len(words) != 4 for words in before[name]):
                raise InjectionError(f"{name}: cannot read the limits of {self.process}: {'; '.join(lines)}")
        ports = {
            name: self._port(i.name, i.ports)
            for name, i in zip(names, site.resolve(self.target), strict=True)
        }
        expiry = {name: ["sh", "-c", _SET, "sh", *_words(seen, 2)] for name, seen in before.items()}
        manual = by_hand(expiry)
        return Undo(self.kind, site.run_id, names, {"before": before, "ports": ports}, manual, expiry)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name, seen in undo.data["before"].items():
            shell(site.platform, name, _SET, *_words(seen, 3))

    def bite(self, site: Site, undo: Undo) -> str:
        """A new connection to the port of each target is not accepted."""
        for name, port in undo.data["ports"].items():
            if shell(site.platform, name, 'exec bash -c "$1" bash "$2"', _PROBE, str(port)) == "0":
                raise BiteError(f"{name}: a connection to port {port} is accepted")
        ports = ", ".join(f"{name}: port {port}" for name, port in undo.data["ports"].items())
        return f"{ports} accepts no connection"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Give the processes that still are the same their limits back; start a container that is down."""

        def restore(name: str) -> None:
            if platform.is_running(name):
                shell(platform, name, _SET, *_words(undo.data["before"][name], 2))
            else:
                platform.start(name)

        on_each(undo.targets, restore)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        for name, seen in undo.data["before"].items():
            if not platform.is_running(name):
                return f"{name} is down"
            alive = 'for p in "$@"; do [ ! -d "/proc/$p" ] || echo "$p"; done'
            pids = shell(platform, name, alive, *(words[0] for words in seen)).split()
            now = [line.split() for line in shell(platform, name, _READ, *pids).splitlines()]
            limits = {(pid, began): limit for pid, began, limit, _ in now}
            for pid, began, limit, _ in seen:
                if limits.get((pid, began), limit) != limit:
                    return f"process {pid} of {name} may open {limits[pid, began]} files, not {limit}"
        return None

    def _port(self, instance: str, declared: Any) -> int:
        name = next(iter(declared)) if self.port is None and len(declared) == 1 else self.port
        if name not in declared:
            wanted = f"no port {name!r}" if name is not None else "not exactly one port"
            raise ConfigError(f"{instance} has {wanted}; declared: {', '.join(declared) or 'none'}")
        return int(declared[name])


def _words(seen: list[list[str]], limit: int) -> list[str]:
    """pid, start time and new limit of each process; the limit is the word at that place."""
    return [word for words in seen for word in (words[0], words[1], words[limit])]


@constructor
def fds_exhausted(
    target: str, process: str, port: str | None = None, **options: Unpack[Options]
) -> FdsExhausted:
    """Let a service open no more files or sockets: `fds_exhausted("redis.primary", "redis-server")`."""
    return FdsExhausted(target, process, port, **options)
