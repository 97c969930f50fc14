"""A drill's body run with a stand-in for `Drill` that writes down what is asked of it and touches nothing.

What a body does to anything else is not let through either: while it runs here, a connection, a new process
or a change to a file is refused by an audit hook, in any thread, and taken as the end of what can be known
without a running stack.
"""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blackstart.drill.following import NO_ENV
from blackstart.drill.trial import Drill
from blackstart.drill.until import Until
from blackstart.faults import Fault
from blackstart.injection.radius import Touched, refuse_beyond, refuse_total_loss
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError, HarnessError
from blackstart.model.experiment import Control, Experiment, Role
from blackstart.model.objectives import COUNTED
from blackstart.model.selector import Selector
from blackstart.model.stack import Stack
from blackstart.runbook.parse import read_runbook
from blackstart.schedule.schedule import Schedule

#: What Python announces before it reaches out of this process.
_REACHING_OUT = frozenset(
    {
        *("socket.connect", "socket.sendto", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname"),
        *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.kill"),
        *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"),
    }
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class NeedsStack(BaseException):
    """The body asked for something that only a running stack can tell; past `except Exception` on purpose."""


class OnStack:
    """In place of what there is on a running stack only, as a fixture: any use raises NeedsStack."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NeedsStack(object.__getattribute__(self, "_name"))

    __getattr__ = __setattr__ = __call__ = __iter__ = __len__ = __bool__ = __getitem__ = __contains__ = (
        _refuse
    )
    __enter__ = __str__ = __repr__ = __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __int__ = __float__ = (
        _refuse
    )
    __add__ = __radd__ = __sub__ = __rsub__ = __fspath__ = __format__ = _refuse
    __hash__ = object.__hash__

    def __exit__(self, *_: object) -> None:
        return None


@dataclass(frozen=True)
class Step:
    """What a body asks for, in order. `number` tells the injection, where it is about one."""

    action: str
    number: int = 0
    fault: Fault | None = None
    hold_s: float = 0.0
    until: str = ""
    limit_s: float = 0.0
    name: str = ""


@dataclass
class Rehearsal:
    """What came of it: the steps, and why it ended early. `needs` is what only a running stack can tell.

    `runbooks` is the folder that the project has them in.
    """

    experiment: Experiment
    role: Role
    trial: int
    control: Control | None
    steps: list[Step] = field(default_factory=list)
    needs: str = ""
    error: str = ""
    runbooks: Path = Path("runbooks")

    @property
    def faults(self) -> list[Fault]:
        """What would be injected, in order."""
        return [step.fault for step in self.steps if step.fault is not None]


class RehearsedInjection:
    """In place of an injection: its undo is written down, its state is known on a running stack only."""

    def __init__(self, rehearsal: Rehearsal, fault: Fault, in_force: dict[int, Touched]) -> None:
        self._rehearsal, self.fault, self._in_force = rehearsal, fault, in_force
        self._number = len(rehearsal.faults)
        self._open = True

    def undo(self) -> None:
        """Write down that it ends here."""
        if self._open:
            self._open = False
            self._in_force.pop(self._number, None)
            self._rehearsal.steps.append(Step("undo", self._number))

    def __enter__(self) -> RehearsedInjection:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.undo()

    def __getattr__(self, name: str) -> Any:
        raise NeedsStack(f"the injection's {name}")


class RehearsedDrill:
    """The stand-in: has what `Drill` has, and validates what it is given against the declaration."""

    def __init__(self, rehearsal: Rehearsal, stack: Stack) -> None:
        self._rehearsal, self._declared = rehearsal, stack
        self._in_force: dict[int, Touched] = {}
        self.experiment, self.role = rehearsal.experiment, rehearsal.role
        self.trial, self.control = rehearsal.trial, rehearsal.control

    def inject(self, fault: Fault) -> RehearsedInjection:
        """See Drill.inject."""
        fault.validate(self._declared)
        reached = self._touched(fault)
        in_force = list(self._in_force.values())
        refuse_beyond(self.experiment.blast_radius, reached, in_force)
        refuse_total_loss(fault, reached, in_force, self._declared, set(self._declared.by_name))
        self._in_force[len(self._rehearsal.faults) + 1] = reached
        self._write(Step("inject", len(self._rehearsal.faults) + 1, fault))
        return RehearsedInjection(self._rehearsal, fault, self._in_force)

    def play(self, schedule: Schedule) -> None:
        """See Drill.play; how long the load lasts is known on a running stack only."""
        schedule.validate(self._declared, math.inf)
        stage, now_s = RehearsedStage(self), 0.0
        for step in schedule.steps:
            if step.at_s > now_s:
                self.hold(round(step.at_s - now_s, 3))
                now_s = step.at_s
            step.deed.perform(stage)

    def observe(self, until: Until | None = None, limit: Duration = "30s") -> bool:
        """See Drill.observe."""
        if until is not None:
            injected = bool(self._rehearsal.faults)
            until.begin({s: _anyone(r.roles) for s, r in self._declared.roles.items()} if injected else {})
        words = until.describe() if until is not None else ""
        self._write(Step("observe", until=words, limit_s=seconds(limit)))
        return True

    def hold(self, duration: Duration) -> None:
        """See Drill.hold."""
        self._write(Step("hold", hold_s=seconds(duration)))

    @contextmanager
    def peak(self, **rates: float) -> Iterator[None]:
        """See Drill.peak; which kinds the load has is known on a running stack only."""
        told = ", ".join(f"{f.replace('_', '-')} {rate:g}/s" for f, rate in rates.items())
        self._write(Step("peak", name=told))
        yield
        self._write(Step("calm"))

    def follow(
        self,
        runbook: str,
        *steps: str,
        env: Mapping[str, str] = NO_ENV,
        limit: Duration = "5m",
        fails: str = "",
        check: bool = True,
    ) -> Any:
        """See Drill.follow; what the steps say is known on a running stack only."""
        read_runbook(self._rehearsal.runbooks / f"{runbook}.md").steps(*steps)
        must = f", of which the last must fail with {fails!r}" if fails else ""
        self._write(Step("follow", limit_s=seconds(limit), name=f"{runbook}: {', '.join(steps)}{must}"))
        return OnStack(f"what came of following {runbook}")

    def count(self, name: str, value: int) -> None:
        """See Drill.count."""
        if name not in COUNTED:
            raise ConfigError(f"nothing is called {name!r} that a drill counts; known: {', '.join(COUNTED)}")
        self._write(Step("count", name=name))

    def premise(self, what: str, met: bool) -> None:
        """See Drill.premise; nothing comes about in a rehearsal."""

    def record_restore(self, what: str, **told: Any) -> None:
        """See Drill.record_restore; nothing is restored in a rehearsal."""

    def run(self, body: Callable[[Any], None]) -> None:
        """Run the body, and keep what stopped it."""
        try:
            with _nothing_touched():
                body(self)
        except NeedsStack as stop:
            self._rehearsal.needs = str(stop)
        except HarnessError as error:
            self._rehearsal.error = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - whatever a test raises is told, and the other plans go on
            self._rehearsal.error = f"the test raises {type(error).__name__}: {error}"

    def _touched(self, fault: Fault) -> Touched:
        """Whom it touches for certain.

        Of a role, the holder is known on a running stack only; and a fault that neither takes out its targets
        nor is on their edges, as a switchover, chooses among them.
        """
        takes_out = fault.takes_out_of(self._declared)
        of_a_role = any(Selector.parse(str(getattr(fault, end))).role for end in fault.ends[:1])
        chosen = fault.meant(self._declared)[0]
        sure = chosen if (takes_out or len(fault.ends) > 1) and not of_a_role else ()
        return Touched(tuple((instance, "") for instance in sure), takes_out)

    def __getattr__(self, name: str) -> Any:
        if hasattr(Drill, name) or name in Drill.__dataclass_fields__:
            raise NeedsStack(f"drill.{name}")
        raise AttributeError(f"Drill has no attribute {name!r}")

    def _write(self, step: Step) -> None:
        self._rehearsal.steps.append(step)


class RehearsedStage:
    """Where a schedule is acted out here: by what the stand-in offers."""

    def __init__(self, drill: RehearsedDrill) -> None:
        self._drill = drill
        self._injections: dict[str, RehearsedInjection] = {}

    def inject(self, name: str, fault: Fault) -> None:
        """See Stage.inject."""
        self._injections[name] = self._drill.inject(fault)

    def undo(self, name: str) -> None:
        """See Stage.undo."""
        self._injections.pop(name).undo()

    def end(self) -> None:
        """See Stage.end."""


def rehearse(
    rehearsal: Rehearsal, stack: Stack, test: Callable[..., None], arguments: dict[str, Any]
) -> None:
    """Run the decorated `test` with a stand-in for `drill` and these other arguments."""
    test(drill=RehearsedDrill(rehearsal, stack), **arguments)


def _anyone(roles: tuple[str, ...]) -> dict[str, str]:
    """That somebody has each role: who, is known on a running stack only."""
    return {f"the {role}": role for role in roles}


@dataclass
class _Guard:
    """Whether a body is rehearsed now, and the first thing that was refused to it."""

    rehearsing: bool = False
    refused: str = ""

    def look(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook."""
        if self.rehearsing and (
            event in _REACHING_OUT or (event == "open" and int(arguments[2] or 0) & _WRITING)
        ):
            self.refused = self.refused or f"something outside of this process ({event})"
            raise NeedsStack(self.refused)


@contextmanager
def _nothing_touched() -> Iterator[None]:
    """Refuse what reaches out of this process; NeedsStack in the end as well, lest another thread kept it."""
    guard = _guard()
    guard.rehearsing, guard.refused = True, ""
    # What a body imports is not to be kept compiled: that would be a change to a file.
    keeping, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        guard.rehearsing, sys.dont_write_bytecode = False, keeping
        if guard.refused:
            raise NeedsStack(guard.refused)


@functools.cache
def _guard() -> _Guard:
    """An audit hook cannot be taken back: there is one."""
    guard = _Guard()
    sys.addaudithook(guard.look)
    return guard
