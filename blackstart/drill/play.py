"""Playing a schedule: its steps at their times, through the same machinery as a drill's own injections."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from blackstart.faults import Fault
from blackstart.model.durations import human, seconds
from blackstart.model.experiment import Role
from blackstart.schedule.base import Step
from blackstart.schedule.schedule import Schedule

if TYPE_CHECKING:
    from blackstart.drill.attempt import Attempt
    from blackstart.drill.placebo import NotInjected
    from blackstart.injection.injector import Injection

#: A step that is later than this is told of in the run's notes; every step's lateness is recorded.
LATE_S = 0.5


class Player:
    """Acts out one schedule in one attempt, in one thread: a step waits for the one before it.

    The attempt's schedule gets an entry `play` with the seed, the duration and the run's time at the begin
    (`at_s`), and every step with when it was planned (`planned_s`), when the fault began to act or the undo
    was begun (`actual_s`), both in seconds from the begin of the play, and the difference (`late_s`).
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._injections: dict[str, Injection | NotInjected] = {}
        self._undoing = ExitStack()
        self._began = 0.0

    def play(self, schedule: Schedule) -> None:
        """See Drill.play."""
        attempt = self._attempt
        declared = attempt.running.stack
        phase_s = seconds(declared.detector_period)
        left_s = seconds(attempt.plan.max_duration) - self._run_s() - phase_s
        schedule.validate(declared, left_s)
        attempt.begin()
        attempt.session.progress.say(f"playing a schedule of {human(schedule.duration_s)}")
        about = {"seed": schedule.seed, "duration_s": schedule.duration_s, "at_s": round(self._run_s(), 3)}
        attempt.schedule.append({"action": "play", **about})
        self._began = time.monotonic()
        with self._undoing:
            for step in schedule.steps:
                self._await(step)
                step.deed.perform(self)
            self._undoing.pop_all()

    def inject(self, name: str, fault: Fault) -> None:
        """See Stage.inject."""
        attempt, before_s = self._attempt, self._now_s()
        injection = attempt.inject(fault, name=name, **self._times(before_s))
        self._injections[name] = injection
        self._undoing.callback(injection.undo)
        if attempt.role is not Role.PLACEBO:
            begin_s = attempt.faults[-1]["begin_s"] + attempt.start_ns / 1e9 - self._began
            attempt.schedule[-1].update(self._times(begin_s))
            self._tell(begin_s)
        if attempt.drill.step:
            self._began += self._now_s() - before_s  # while somebody looks around, the play stands still

    def undo(self, name: str) -> None:
        """See Stage.undo."""
        self._record({"action": "undo", "name": name})
        self._injections.pop(name).undo()

    def end(self) -> None:
        """See Stage.end."""
        self._record({"action": "end"})

    def _await(self, step: Step) -> None:
        self._step = step
        left_s = step.at_s - self._now_s()
        if left_s > 0:
            self._attempt.hold(round(left_s, 3))

    def _record(self, entry: dict[str, Any]) -> None:
        if self._attempt.role is not Role.PLACEBO:
            now_s = self._now_s()
            self._attempt.schedule.append({**entry, **self._times(now_s)})
            self._tell(now_s)

    def _times(self, actual_s: float) -> dict[str, float]:
        planned_s = self._step.at_s
        late_s = round(max(0.0, actual_s - planned_s), 3)
        return {"planned_s": planned_s, "actual_s": round(actual_s, 3), "late_s": late_s}

    def _tell(self, actual_s: float) -> None:
        if (late_s := actual_s - self._step.at_s) > LATE_S:
            step = self._step.to_dict()
            what = " ".join(str(step[k]) for k in ("action", "name") if k in step)
            self._attempt.notes.append(
                f"schedule: {what} came {human(late_s)} late, planned at {self._step.at_s:g} s"
            )

    def _now_s(self) -> float:
        return time.monotonic() - self._began

    def _run_s(self) -> float:
        return (time.monotonic_ns() - self._attempt.start_ns) / 1e9
