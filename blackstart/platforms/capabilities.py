"""What a platform may be able to do, as small protocols; and the data it answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from blackstart.model.errors import CapabilityMissing

#: Seconds since the epoch, or a time with its zone.
Moment = float | datetime

_LEFT = " (left: the engine counts endpoints that are not there; restarting it removes them)"


def left(name: str) -> str:
    """How a removal names what the engine cannot let go of."""
    return name + _LEFT


def is_left(name: str) -> bool:
    """Whether a removal names this as left rather than removed."""
    return name.endswith(_LEFT)


#: The part (label `blackstart.part`) of a container that is never started: it says how a lost one was made.
PATTERN = "pattern"
_PATTERN = f"-{PATTERN}"


def pattern_of(name: str) -> str:
    """What the pattern of a container is called."""
    return name + _PATTERN


def lost_name(pattern: str) -> str:
    """The reverse of `pattern_of`."""
    return pattern.removesuffix(_PATTERN)


def disk_place(instance: str, path: str) -> str:
    """Where the keeper of a run's disks has the one that `instance` knows as `path`."""
    return f"/disks/{instance}{path}"


@dataclass(frozen=True)
class ExecResult:
    """Exit code and output (stdout and stderr together) of a command run inside a container."""

    code: int
    output: str


@dataclass(frozen=True)
class Container:
    """A container of a run, as its labels and state tell. `ports`: container port -> host port."""

    name: str
    run_id: str
    stack: str
    service: str
    zone: str
    instance: str
    part: str
    status: str
    image: str
    ports: Mapping[int, int]


@runtime_checkable
class Killable(Protocol):
    """Can kill a container outright and start it again."""

    def kill(self, name: str) -> None: ...
    def start(self, name: str) -> None: ...
    def is_running(self, name: str) -> bool: ...


@runtime_checkable
class Pausable(Protocol):
    """Can freeze every process of a container and let them go on."""

    def pause(self, name: str) -> None: ...
    def unpause(self, name: str) -> None: ...
    def is_paused(self, name: str) -> bool: ...


@runtime_checkable
class Executable(Protocol):
    """Can run a command inside a container."""

    def exec(self, name: str, cmd: Sequence[str], timeout: float = 10.0) -> ExecResult: ...


@runtime_checkable
class Signallable(Protocol):
    """Can find processes inside a container by their name and signal them."""

    def pids(self, name: str, process: str) -> list[int]: ...
    def signal_process(self, name: str, process: str, signal: str) -> list[int]: ...


@runtime_checkable
class HasLogs(Protocol):
    """Can show what a container wrote."""

    def logs(
        self, name: str, since: Moment | None = None, until: Moment | None = None, tail: int | None = None
    ) -> str: ...


@runtime_checkable
class Stoppable(Protocol):
    """Can ask a container to end, and tell one life of it from another and how the last one ended."""

    def stop(self, name: str, timeout_s: float) -> None: ...
    def started(self, name: str) -> str: ...
    def exit_code(self, name: str) -> int: ...


@runtime_checkable
class Addressable(Protocol):
    """Can tell by which addresses the others of its run reach a container; none while it is down."""

    def addresses(self, name: str) -> list[str]: ...


@runtime_checkable
class Shapeable(Protocol):
    """Can tell which packet schedulers (`tbf`, `netem`) the kernel of a container has."""

    def has_scheduler(self, name: str, scheduler: str) -> bool: ...


@runtime_checkable
class Limitable(Protocol):
    """Can limit how many processors a container uses, while it runs (None is no limit), and tells whether the
    kernel killed in it for want of memory.
    """

    def cpu_limit(self, name: str) -> float | None: ...
    def limit_cpu(self, name: str, cpus: float | None) -> None: ...
    def oom_killed(self, name: str) -> bool: ...


@runtime_checkable
class Replaceable(Protocol):
    """Can remove a service's container with all that it wrote, and make it anew, empty, in the same place."""

    def lose(self, name: str) -> None: ...
    def remake(self, name: str) -> None: ...
    def is_lost(self, name: str) -> bool: ...


#: By the name a fault asks for it.
CAPABILITIES: dict[str, type] = {
    "kill": Killable,
    "pause": Pausable,
    "exec": Executable,
    "signal": Signallable,
    "logs": HasLogs,
    "stop": Stoppable,
    "address": Addressable,
    "shape": Shapeable,
    "limit": Limitable,
    "replace": Replaceable,
}


def require(platform: object, *names: str) -> None:
    """Raise CapabilityMissing, naming what `platform` lacks of the capabilities `names`."""
    lacking = [n for n in names if not isinstance(platform, CAPABILITIES[n])]
    if lacking:
        raise CapabilityMissing(f"{type(platform).__name__} cannot {', '.join(lacking)}")
