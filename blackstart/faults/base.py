"""What a fault is: immutable data that can be planned, injected, seen to bite, and undone."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol, TypedDict

from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode
from blackstart.model.selector import Selector
from blackstart.model.stack import Instance, Stack
from blackstart.platforms.capabilities import Container, ExecResult


class Platform(Protocol):
    """Where the targets live. Which of it a fault needs, it says in `capabilities`."""

    def list(self, run_id: str | None = None) -> Sequence[Container]: ...
    def bindings(self, name: str) -> Mapping[int, int]: ...
    def is_running(self, name: str) -> bool: ...
    def kill(self, name: str) -> None: ...
    def start(self, name: str) -> None: ...
    def stop(self, name: str, timeout_s: float) -> None: ...
    def started(self, name: str) -> str: ...
    def exit_code(self, name: str) -> int: ...
    def is_paused(self, name: str) -> bool: ...
    def pause(self, name: str) -> None: ...
    def unpause(self, name: str) -> None: ...
    def exec(self, name: str, cmd: Sequence[str], timeout: float = 10.0) -> ExecResult: ...
    def pids(self, name: str, process: str) -> Sequence[int]: ...
    def cpu_limit(self, name: str) -> float | None: ...
    def limit_cpu(self, name: str, cpus: float | None) -> None: ...
    def oom_killed(self, name: str) -> bool: ...
    def lose(self, name: str) -> None: ...
    def remake(self, name: str) -> None: ...
    def is_lost(self, name: str) -> bool: ...
    def signal_process(self, name: str, process: str, signal: str) -> Sequence[int]: ...


class Site(Protocol):
    """Where a fault strikes: the running stack (`blackstart.stack.running.RunningStack`)."""

    @property
    def stack(self) -> Stack: ...
    @property
    def run_id(self) -> str: ...
    @property
    def platform(self) -> Any: ...
    @property
    def keeper(self) -> str: ...
    def resolve(self, selector: str) -> tuple[Instance, ...]: ...
    def container(self, instance: str) -> str: ...
    def sidecar(self, instance: str) -> str: ...
    def proxy_api(self, instance: str) -> str: ...
    def url(self, instance: str, port: str, path: str = "") -> str: ...
    def role_map(self, service: str) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Undo:
    """All that another process needs to undo a fault: which kind, whose run, which containers, and data.

    `targets` are container names; `manual` is a shell command that a person can run instead. `expiry` is for
    the place of the fault: by container, the command (argv) that takes the fault back from inside it, run by
    a helper there a little after the fault's maximum duration, should nobody else have done it. `id` tells
    one injection from another.
    """

    kind: str
    run_id: str
    targets: tuple[str, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    manual: str = ""
    expiry: Mapping[str, Sequence[str]] = field(default_factory=dict)
    id: str = field(default_factory=lambda: fresh_id())

    def to_dict(self) -> dict[str, Any]:
        """As the journal holds it."""
        return {
            "kind": self.kind,
            "run_id": self.run_id,
            "targets": list(self.targets),
            "data": dict(self.data),
            "manual": self.manual,
            "expiry": {name: list(command) for name, command in self.expiry.items()},
            "id": self.id,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Undo:
        """The reverse of `to_dict`."""
        return cls(**{**data, "targets": tuple(data["targets"])})


def fresh_id() -> str:
    """A name that no other injection has: 8 hex digits."""
    return uuid.uuid4().hex[:8]


class Options(TypedDict, total=False):
    """What every fault takes beside its own parameters."""

    max_duration: Duration
    allow_total_loss: bool


@dataclass(frozen=True)
class Fault(ABC):
    """A fault as data. `max_duration` is how long it may stay in force before the engine undoes it.

    Without `allow_total_loss` the engine refuses to take the last healthy member of a service, or its quorum.

    Life cycle: `validate` (against the declaration), `plan` (against the running stack, before anything is
    touched), `inject`, `bite`; then, perhaps in another process and from the plan alone, `undo` and `undone`.
    """

    kind: ClassVar[str]
    #: What it looks like to those who depend on the target: its family in lists, its column on the map.
    mode: ClassVar[Mode] = Mode.OTHER
    #: The parameters that select instances; two for a fault on the edges from the first to the second;
    #: none for one that selects otherwise, as by zone.
    ends: ClassVar[tuple[str, ...]] = ("target",)
    #: The part that the target must declare to play (`Instance.plays`), if any.
    part: ClassVar[str | None] = None
    capabilities: ClassVar[tuple[str, ...]] = ()
    #: Seconds that the effect may take to show, and that the restored state may take to show by itself.
    bite_limit: ClassVar[float] = 5.0
    grace: ClassVar[float] = 5.0
    #: Whether a helper at the place of the fault ends it when harness and watchdog are both gone.
    expires_in_place: ClassVar[bool] = False
    #: Whether the targets serve nobody while it is in force: what the quorum guard counts.
    takes_out: ClassVar[bool] = False
    #: Whether its targets are down, frozen or deaf while it is in force: what struck there earlier can only
    #: be undone after it.
    holds_down: ClassVar[bool] = False
    #: Whether it is a setting that outlives a restart of its targets. The undo puts back what was found: of
    #: two of a kind on one target the newer is undone first.
    persistent: ClassVar[bool] = False
    #: Whether its undo puts anything back. Where it does not, the drill shows that the service copes.
    reversible: ClassVar[bool] = True
    #: Whether the effect stays until the undo. Where it should and is gone before, the trial proves nothing.
    lasts: ClassVar[bool] = True

    max_duration: Duration = field(default="120s", kw_only=True)
    allow_total_loss: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        seconds(self.max_duration)

    def to_dict(self) -> dict[str, Any]:
        """The kind and every parameter, as written."""
        own = sorted(
            fields(self), key=lambda f: f.kw_only is True
        )  # the target first, what all faults have last
        return {"kind": self.kind, **{f.name: getattr(self, f.name) for f in own}}

    def validate(self, stack: Stack) -> None:
        """Raise ConfigError, naming the valid ones, for a target or parameter that the stack lacks.

        Here: each of `ends` selects something that, where the fault takes a `part`, plays it.
        """
        for end in self.ends:
            selector = Selector.parse(getattr(self, end))
            selector.validate(stack)
            for instance in selector.candidates(stack):
                if self.part is not None and self.part not in instance.plays:
                    known = ", ".join(i.name for i in stack.instances if self.part in i.plays) or "none"
                    raise ConfigError(f"{instance.name} plays no {self.part!r}; who does: {known}")

    def meant(self, stack: Stack) -> tuple[tuple[Instance, ...], ...]:
        """The instances that it strikes by the declaration, by end; of a role, whoever may hold it."""
        return tuple(tuple(Selector.parse(getattr(self, end)).candidates(stack)) for end in self.ends)

    def takes_out_of(self, stack: Stack) -> bool:
        """`takes_out`, where that depends on the parameters."""
        return self.takes_out

    @abstractmethod
    def plan(self, site: Site) -> Undo:
        """Resolve the targets and say how to undo; touches nothing. Raises InjectionError if it cannot be."""

    @abstractmethod
    def inject(self, site: Site, undo: Undo) -> None:
        """Bring the fault about."""

    @abstractmethod
    def bite(self, site: Site, undo: Undo) -> str:
        """What shows that the fault is in force; BiteError if nothing does (yet)."""

    @classmethod
    @abstractmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Take the fault back; idempotent, from the record alone."""

    @classmethod
    @abstractmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """None once the fault is seen to be gone, else what is still wrong."""

    @classmethod
    def escalate(cls, undo: Undo, platform: Platform) -> None:
        """The harder way, where `undo` did not lead to `undone` within `grace`; by default once more."""
        cls.undo(undo, platform)
