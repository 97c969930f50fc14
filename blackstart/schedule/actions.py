"""The actions of a schedule: inject, undo, wait, and what is composed of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import ClassVar

from blackstart.faults import Fault, fault_from_dict
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError, ScheduleError
from blackstart.model.stack import Stack
from blackstart.schedule.base import (
    Action,
    Deed,
    Stage,
    Timeline,
    milliseconds,
    refuse_overdue,
    register,
    within,
)
from blackstart.schedule.forms import ACTION, ACTIONS, DURATION, FAULT, FAULTS, NAME, VALUE, count


@register
@dataclass(frozen=True)
class Inject(Deed):
    """Bring a fault about, under a name by which it can be undone."""

    kind: ClassVar[str] = "inject"

    name: str = field(metadata={"form": NAME})
    fault: Fault = field(metadata={"form": FAULT})

    def follow(self, at_ms: int, in_force: dict[str, tuple[int, Fault]]) -> None:
        """See Deed.follow."""
        if self.name in in_force:
            since_s = in_force[self.name][0] / 1000
            raise ConfigError(
                f"injected at {at_ms / 1000:g} s, but {self.name!r} is in force since {since_s:g} s; undo it "
                f"first or take another name than: {', '.join(in_force)}"
            )
        in_force[self.name] = (at_ms, self.fault)

    def perform(self, stage: Stage) -> None:
        """See Deed.perform."""
        stage.inject(self.name, self.fault)

    def validate(self, stack: Stack) -> None:
        """See Deed.validate."""
        with within("fault"):
            try:
                self.fault.validate(stack)
            except TypeError as error:  # a file may hold a number where a text must be
                raise ConfigError(f"{self.fault.to_dict()}: {error}") from None


@register
@dataclass(frozen=True)
class Undo(Deed):
    """Undo the fault that was injected under this name."""

    kind: ClassVar[str] = "undo"

    name: str = field(metadata={"form": NAME})

    def follow(self, at_ms: int, in_force: dict[str, tuple[int, Fault]]) -> None:
        """See Deed.follow."""
        if self.name not in in_force:
            raise ConfigError(
                f"undone at {at_ms / 1000:g} s, but no {self.name!r} is in force then; "
                f"in force: {', '.join(in_force) or 'nothing'}"
            )
        refuse_overdue(self.name, at_ms, *in_force.pop(self.name))

    def perform(self, stage: Stage) -> None:
        """See Deed.perform."""
        stage.undo(self.name)


@dataclass(frozen=True)
class End(Deed):
    """Nothing more happens. The last step of every schedule, so that a wait at its end is kept."""

    kind: ClassVar[str] = "end"

    def follow(self, at_ms: int, in_force: dict[str, tuple[int, Fault]]) -> None:
        """See Deed.follow."""
        for name, (since_ms, fault) in in_force.items():
            refuse_overdue(name, at_ms, since_ms, fault)

    def perform(self, stage: Stage) -> None:
        """See Deed.perform."""
        stage.end()


@register
@dataclass(frozen=True)
class Wait(Action):
    """Let time pass: `duration`, give or take up to `jitter`, every moment of that as likely."""

    kind: ClassVar[str] = "wait"

    duration: Duration = field(metadata={"form": DURATION})
    jitter: Duration = field(default=0, metadata={"form": DURATION})

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_jitter(self.jitter, "duration", self.duration)

    def expand(self, at_ms: int, timeline: Timeline) -> int:
        """See Action.expand."""
        return at_ms + timeline.jittered(self.duration, self.jitter)


@register
@dataclass(frozen=True)
class Sequence(Action):
    """One after another."""

    kind: ClassVar[str] = "sequence"

    actions: tuple[Action, ...] = field(metadata={"form": ACTIONS})

    def expand(self, at_ms: int, timeline: Timeline) -> int:
        """See Action.expand."""
        for n, each in enumerate(self.actions):
            at_ms = timeline.expand(each, at_ms, "actions", n)
        return at_ms


@register
@dataclass(frozen=True)
class Parallel(Action):
    """All at once; over when the last of them is."""

    kind: ClassVar[str] = "parallel"

    branches: tuple[Action, ...] = field(metadata={"form": ACTIONS})

    def expand(self, at_ms: int, timeline: Timeline) -> int:
        """See Action.expand."""
        ends = [timeline.expand(each, at_ms, "branches", n) for n, each in enumerate(self.branches)]
        return max(ends, default=at_ms)


@register
@dataclass(frozen=True)
class Repeat(Action):
    """The same `times` times, one after another; what is random in it is drawn anew each time."""

    kind: ClassVar[str] = "repeat"

    times: int = field(metadata={"form": count(1)})
    body: Action = field(metadata={"form": ACTION})

    def expand(self, at_ms: int, timeline: Timeline) -> int:
        """See Action.expand."""
        for _ in range(self.times):
            at_ms = timeline.expand(self.body, at_ms, "body")
        return at_ms


@register
@dataclass(frozen=True)
class Ramp(Action):
    """A fault whose `parameter` goes from `start` to `stop` in `steps` steps, each as long, over `duration`.

    A step undoes the one before, so for a moment between two nothing is in force. The last one stays in
    force, under `name`. Where `start` or `stop` is a text, both are durations; where both are whole numbers,
    so are all values between.
    """

    kind: ClassVar[str] = "ramp"

    name: str = field(metadata={"form": NAME})
    fault: Fault = field(metadata={"form": FAULT})
    parameter: str = field(metadata={"form": NAME})
    start: float | str = field(metadata={"form": VALUE})
    stop: float | str = field(metadata={"form": VALUE})
    steps: int = field(metadata={"form": count(2)})
    duration: Duration = field(metadata={"form": DURATION})

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [f.name for f in fields(self.fault)]
        if self.parameter not in known:
            raise ScheduleError(
                f"fault {self.fault.kind!r} has no parameter {self.parameter!r}; it has: {', '.join(known)}",
                ("parameter",),
            )
        present = getattr(self.fault, self.parameter)
        with within("parameter"):
            try:
                VALUE.check(present)
            except ConfigError:
                raise ConfigError(
                    f"{self.parameter!r} is {present!r}: only numbers and durations can be ramped"
                ) from None
        self.faults  # noqa: B018 - every value on the way must be valid

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """The fault at every step; ConfigError if it cannot have one of the values."""
        told = self.fault.to_dict()
        return tuple(fault_from_dict({**told, self.parameter: self._value(n)}) for n in range(self.steps))

    def expand(self, at_ms: int, timeline: Timeline) -> int:
        """See Action.expand."""
        lasts_ms = milliseconds(self.duration)
        for n, fault in enumerate(self.faults):
            step_ms = at_ms + lasts_ms * n // self.steps
            if n:
                timeline.add(step_ms, Undo(self.name))
            timeline.add(step_ms, Inject(self.name, fault))
        return at_ms + lasts_ms

    def _value(self, n: int) -> float | str:
        if n == 0:
            return self.start
        if n == self.steps - 1:
            return self.stop
        part = n / (self.steps - 1)
        if isinstance(self.start, str) or isinstance(self.stop, str):
            between_s = _between(seconds(self.start), seconds(self.stop), part)
            return f"{round(between_s * 1000)}ms"
        between = _between(self.start, self.stop, part)
        return round(between) if isinstance(self.start, int) and isinstance(self.stop, int) else between


@register
@dataclass(frozen=True)
class Swizzle(Action):
    """Inject the faults one by one in a random order, then undo them one by one in another.

    FoundationDB's simulation calls this swizzled clogging: it finds what depends on the order in which parts
    go and come back. Between two deeds lies `gap`, give or take up to `jitter`.
    """

    kind: ClassVar[str] = "swizzle"

    faults: Mapping[str, Fault] = field(metadata={"form": FAULTS})
    gap: Duration = field(metadata={"form": DURATION})
    jitter: Duration = field(default=0, metadata={"form": DURATION})

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_jitter(self.jitter, "gap", self.gap)

    def expand(self, at_ms: int, timeline: Timeline) -> int:
        """See Action.expand."""
        names = sorted(self.faults)  # equal schedules give equal steps, in whatever order they were written
        deeds: list[Deed] = [Inject(name, self.faults[name]) for name in timeline.shuffled(names)]
        deeds += [Undo(name) for name in timeline.shuffled(names)]
        for n, deed in enumerate(deeds):
            at_ms += timeline.jittered(self.gap, self.jitter) if n else 0
            timeline.add(at_ms, deed)
        return at_ms


def _refuse_jitter(jitter: Duration, name: str, duration: Duration) -> None:
    if seconds(jitter) > seconds(duration):
        raise ScheduleError(f"{jitter!r} is more than the {name} {duration!r}", ("jitter",))


def _between(start: float, stop: float, part: float) -> float:
    return round(start + (stop - start) * part, 6)


def inject(fault: Fault, name: str) -> Inject:
    """Inject `fault`, to be undone by `name`; at the end of the drill at the latest."""
    return Inject(name, fault)


def undo(name: str) -> Undo:
    """Undo the fault called `name`."""
    return Undo(name)


def wait(duration: Duration, jitter: Duration = 0) -> Wait:
    """Wait for `duration`, or for a random time of up to `jitter` less or more: `wait("5s", jitter="2s")`."""
    return Wait(duration, jitter)


def sequence(*actions: Action) -> Sequence:
    """One action after another."""
    return Sequence(actions)


def parallel(*branches: Action) -> Parallel:
    """All branches at once."""
    return Parallel(branches)


def repeat(times: int, *actions: Action) -> Repeat:
    """These actions, one after another, `times` times over."""
    return Repeat(times, actions[0] if len(actions) == 1 else Sequence(actions))


def ramp(
    fault: Fault,
    name: str,
    parameter: str,
    start: float | str,
    stop: float | str,
    steps: int,
    duration: Duration,
) -> Ramp:
    """Change a parameter step by step: `ramp(slow, "slow", "latency", "100ms", "1s", 10, "30s")`."""
    return Ramp(name, fault, parameter, start, stop, steps, duration)


def swizzle(faults: Mapping[str, Fault], gap: Duration, jitter: Duration = 0) -> Swizzle:
    """Inject faults, by name, one by one in random order, and undo them in another."""
    return Swizzle(faults, gap, jitter)
