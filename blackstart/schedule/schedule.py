"""A schedule: timed actions as data. A drill, a game day and a random run are all schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from blackstart.faults import Fault
from blackstart.model.durations import human
from blackstart.model.errors import ScheduleError
from blackstart.model.stack import Stack
from blackstart.schedule import file
from blackstart.schedule.actions import End
from blackstart.schedule.base import Action, Step, Timeline, within
from blackstart.schedule.forms import ACTIONS, count

SCHEMA = 1


@dataclass(frozen=True)
class Schedule:
    """`actions` one after another; `seed`, a whole number, decides all that is random in them.

    Raises ScheduleError where a name is undone that is not in force or injected twice, or a fault is to be in
    force for longer than its `max_duration`. Times are rounded to milliseconds.
    """

    actions: Sequence[Action]
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "actions", tuple(self.actions))
        with within("actions"):
            ACTIONS.check(self.actions)
        with within("seed"):
            count(0).check(self.seed)
        in_force: dict[str, tuple[int, Fault]] = {}
        for step in self.steps:
            with within(*step.place):
                step.deed.follow(step.at_ms, in_force)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every deed at its time, in order of time, then as written; the last is the end."""
        timeline, at_ms = Timeline(self.seed), 0
        for n, each in enumerate(self.actions):
            at_ms = timeline.expand(each, at_ms, "actions", n)
        return (*sorted(timeline.steps, key=lambda step: step.at_ms), Step(at_ms, End()))

    @property
    def duration_s(self) -> float:
        """From the begin to the end, in seconds."""
        return self.steps[-1].at_s

    def compile(self) -> list[dict[str, Any]]:
        """`steps` as plain data: `[{"at_s": 0.0, "action": "inject", "name": "a", "fault": {…}}, …]`.

        `at_s`: seconds from the begin. The same schedule gives the same list on every machine.
        """
        return [step.to_dict() for step in self.steps]

    def validate(self, stack: Stack, limit_s: float) -> None:
        """ScheduleError for a fault that the stack cannot have, and for a duration of more than `limit_s`."""
        for step in self.steps:
            with within(*step.place):
                step.deed.validate(stack)
        if self.duration_s > limit_s:
            raise ScheduleError(
                f"the schedule lasts {human(self.duration_s)}, and the load only {human(max(0, limit_s))} "
                "from now on: shorten it, or raise max_duration of the stack's LoadPlan"
            )

    def to_dict(self) -> dict[str, Any]:
        """As a file holds it."""
        return {"schema": SCHEMA, "seed": self.seed, "actions": ACTIONS.write(self.actions)}

    @classmethod
    def from_dict(cls, data: Any) -> Schedule:
        """The reverse of `to_dict`; ScheduleError says at which field what would be valid."""
        known = ("schema", "seed", "actions")
        if not isinstance(data, Mapping):
            raise ScheduleError(f"not a schedule: write a mapping with {', '.join(known)}")
        for name in data:
            if name not in known:
                raise ScheduleError(f"a schedule has no such field; it has: {', '.join(known)}", (str(name),))
        if data.get("schema", SCHEMA) != SCHEMA:
            raise ScheduleError(f"unknown schema {data['schema']!r}; valid is {SCHEMA}", ("schema",))
        if "actions" not in data:
            raise ScheduleError(f"a schedule lacks the field 'actions'; it has: {', '.join(known)}")
        with within("actions"):
            actions = ACTIONS.read(data["actions"])
        return cls(actions, data.get("seed", 0))

    @classmethod
    def load(cls, path: Path | str) -> Schedule:
        """The schedule in a .yaml, .yml or .json file; ScheduleError says file, line and field."""
        return file.load(Path(path), cls.from_dict)

    def save(self, path: Path | str) -> None:
        """Write it to a .yaml, .yml or .json file."""
        file.save(Path(path), self.to_dict())
