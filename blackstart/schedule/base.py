"""What an action of a schedule is, and how actions become a flat list of timed steps."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Protocol, TypeVar

from blackstart.faults import Fault
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import ConfigError, ScheduleError
from blackstart.model.stack import Stack

A = TypeVar("A", bound="type[Action]")
T = TypeVar("T")

#: Path of a field in a schedule: `("actions", 2, "fault")`.
Place = tuple[str | int, ...]

#: Every action that can be written in a schedule, by its kind.
ACTIONS: dict[str, type[Action]] = {}

#: A schedule with more actions than this, all repetitions counted, is taken for a slip of the pen.
MOST = 100_000


def register(cls: A) -> A:
    """Class decorator: the action can be written in a schedule under its `kind`."""
    ACTIONS[cls.kind] = cls
    return cls


@contextmanager
def within(*place: str | int) -> Iterator[None]:
    """What is wrong in here is wrong at `place`: turns ConfigError into ScheduleError that says so."""
    try:
        yield
    except ScheduleError as error:
        raise ScheduleError(error.what, (*place, *error.at)) from None
    except ConfigError as error:
        raise ScheduleError(str(error), place) from None


def milliseconds(duration: Duration) -> int:
    """The grain of schedules: whole milliseconds add up alike on every machine. Raises ConfigError."""
    return round(seconds(duration) * 1000)


class Form(Protocol):
    """How a field of an action is checked, and how it stands in a file."""

    def check(self, value: Any) -> None:
        """Raise ConfigError if no field of this form can have the value."""

    def read(self, value: Any) -> Any:
        """The value from what a file holds; ConfigError says what is valid."""

    def write(self, value: Any) -> Any:
        """The reverse of `read`, JSON-ready."""


@dataclass(frozen=True)
class Action(ABC):
    """What is to happen, as data. Its fields are declared with their `Form` (blackstart.schedule.forms)."""

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        for own in fields(self):
            with within(own.name):
                own.metadata["form"].check(getattr(self, own.name))

    @abstractmethod
    def expand(self, at_ms: int, timeline: Timeline) -> int:
        """Put the steps of this action, begun at `at_ms`, on the timeline; returns when it is over."""

    def to_dict(self) -> dict[str, Any]:
        """As a file holds it; what is left at its default is left out."""
        held = ((f, getattr(self, f.name)) for f in fields(self))
        own = {f.name: f.metadata["form"].write(value) for f, value in held if value != f.default}
        return {"action": self.kind, **own}


def action_from_dict(data: Any) -> Action:
    """The reverse of `Action.to_dict`; ScheduleError says at which field what would be valid."""
    if not isinstance(data, Mapping):
        raise ScheduleError(f"not an action: {data!r} (write a mapping with the field 'action')")
    cls = ACTIONS.get(str(data.get("action")))
    if cls is None:
        wrong = f"unknown action {data['action']!r}" if "action" in data else "the field 'action' is missing"
        raise ScheduleError(f"{wrong}; known: {', '.join(sorted(ACTIONS))}", ("action",))
    own = {f.name: f for f in fields(cls)}
    for name in data:
        if name not in own and name != "action":
            raise ScheduleError(f"{cls.kind!r} has no such field; it has: {', '.join(own)}", (str(name),))
    values = {}
    for name, declared in own.items():
        if name in data:
            with within(name):
                values[name] = declared.metadata["form"].read(data[name])
        elif declared.default is MISSING:
            raise ScheduleError(f"{cls.kind!r} lacks the field {name!r}; it has: {', '.join(own)}")
    with within():
        return cls(**values)


class Stage(Protocol):
    """Where steps are acted out."""

    def inject(self, name: str, fault: Fault) -> None: ...
    def undo(self, name: str) -> None: ...
    def end(self) -> None: ...


class Deed(Action):
    """An action that takes no time of the schedule's."""

    def expand(self, at_ms: int, timeline: Timeline) -> int:
        """One step, at once."""
        timeline.add(at_ms, self)
        return at_ms

    @abstractmethod
    def follow(self, at_ms: int, in_force: dict[str, tuple[int, Fault]]) -> None:
        """Bring `in_force` (since when, and what, by name) up to date; ConfigError if that cannot be."""

    @abstractmethod
    def perform(self, stage: Stage) -> None:
        """Do it."""

    def validate(self, stack: Stack) -> None:
        """ConfigError, naming what is valid, where the stack lacks what is to be acted on."""


def refuse_overdue(name: str, at_ms: int, since_ms: int, fault: Fault) -> None:
    """ConfigError if the engine would undo the fault, for its own time limit, before `at_ms`."""
    if at_ms - since_ms > milliseconds(fault.max_duration):
        lasts = human((at_ms - since_ms) / 1000)
        raise ConfigError(
            f"{name!r} is to be in force for {lasts}, and its max_duration is {fault.max_duration!r}: "
            "undo it sooner or raise that"
        )


@dataclass(frozen=True)
class Step:
    """A deed at its time, in ms from the begin of the schedule; `place` is where it was written."""

    at_ms: int
    deed: Deed
    place: Place = ()

    @property
    def at_s(self) -> float:
        """Seconds from the begin of the schedule."""
        return self.at_ms / 1000

    def to_dict(self) -> dict[str, Any]:
        """As `{"at_s": 1.5, "action": "undo", "name": "a"}`."""
        return {"at_s": self.at_s, **self.deed.to_dict()}


class Timeline:
    """Where actions put their steps, and their only source of chance.

    Of `random.Random` only `random()` is used: for a seed it gives the same numbers in every version of
    Python, which is not promised of `uniform`, `randint` or `shuffle`.
    """

    def __init__(self, seed: int) -> None:
        self.steps: list[Step] = []
        self._random = random.Random(seed).random
        self._place: Place = ()
        self._expanded = 0

    def add(self, at_ms: int, deed: Deed) -> None:
        """A step of the action that is being expanded."""
        self.steps.append(Step(at_ms, deed, self._place))

    def expand(self, action: Action, at_ms: int, *place: str | int) -> int:
        """Expand an action that stands at `place` of the present one; returns when it is over."""
        self._expanded += 1
        if self._expanded > MOST:
            raise ScheduleError(f"more than {MOST} actions, repetitions counted", self._place)
        outer, self._place = self._place, (*self._place, *place)
        try:
            return action.expand(at_ms, self)
        finally:
            self._place = outer

    def draw(self, n: int) -> int:
        """One of 0 … n-1, each as likely as another."""
        return int(self._random() * n)

    def jittered(self, duration: Duration, jitter: Duration) -> int:
        """`duration` give or take up to `jitter`, in ms; draws nothing if there is no jitter."""
        spread_ms = milliseconds(jitter)
        return milliseconds(duration) + (self.draw(2 * spread_ms + 1) - spread_ms if spread_ms else 0)

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All of them in a random order (Fisher and Yates)."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = self.draw(last + 1)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed
