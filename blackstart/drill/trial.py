"""One trial of an experiment: what the fixture `drill` hands to a test."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackstart.drill.attempt import Attempt
from blackstart.drill.following import NO_ENV, Followed, Follower
from blackstart.drill.gates import await_calm
from blackstart.drill.placebo import NotInjected
from blackstart.drill.play import Player
from blackstart.drill.record import keep_logs, supersede
from blackstart.drill.restored import Check, record, restore_event
from blackstart.drill.result import Result
from blackstart.drill.until import Until
from blackstart.faults import Fault
from blackstart.injection.injector import Injection
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError, HarnessError, HypothesisFailed
from blackstart.model.experiment import Control, Experiment, Role, run_name
from blackstart.model.verdict import Verdict
from blackstart.schedule.schedule import Schedule

if TYPE_CHECKING:
    from blackstart.drill.session import StackSession


@dataclass
class Drill:
    """The life cycle of one trial; tests call `inject` and `observe`."""

    session: StackSession
    experiment: Experiment
    role: Role
    trial: int
    seed: int
    ceilings: float = 1.0
    control: Control | None = None
    step: bool = False
    runbook: Path | None = None
    command: str = ""
    results: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._attempt = 0
        self._begun: Attempt | None = None

    @property
    def stack(self) -> Any:
        """The running stack, for a look around."""
        return self.session.running

    def inject(self, fault: Fault) -> Injection | NotInjected:
        """Inject `fault`, journaled and checked to bite; undone at the end of the drill at the latest.

        Returns the injection, usable in a `with`. In a placebo nothing is injected.
        Raises ConfigError for an unknown target or parameter, InjectionError, BiteError.
        """
        return self._current().inject(fault)

    def play(self, schedule: Schedule) -> None:
        """Do what `schedule` says, in real time; what it leaves in force is undone at the end of the drill.

        Every injection is as by `inject`; one that fails stops the play, and what that injected is undone.
        A placebo only waits. Raises ScheduleError before anything is touched, InjectionError, BiteError,
        UndoError, LoadError.
        """
        Player(self._current()).play(schedule)

    def observe(self, until: Until | None = None, limit: Duration = "30s") -> bool:
        """Watch until the condition is met and the clients have recovered, at most `limit` for the former.

        Returns whether the clients have; a placebo, and who only rehearses, is told that they have.
        """
        return self._current().observe(until, seconds(limit))

    def hold(self, duration: Duration) -> None:
        """Keep everything as it is for `duration`, under load: a longer baseline, or a fault that lasts."""
        self._current().hold(seconds(duration))

    def peak(self, **rates: float) -> AbstractContextManager[None]:
        """Clients come at these rates (per second, by kind; `_` for `-`) as long as the `with` lasts.

        In a placebo they come as ever. Raises ConfigError for a kind that the load does not have.
        """
        return self._current().peak({f.replace("_", "-"): rate for f, rate in rates.items()})

    def follow(
        self,
        runbook: str,
        *steps: str,
        env: Mapping[str, str] = NO_ENV,
        limit: Duration = "5m",
        fails: str = "",
        check: bool = True,
    ) -> Followed:
        """Do these steps of `runbooks/<runbook>.md`, in this order, in one bash, as a person would.

        They are given `env`, and RUN, the run id of the drill's stack; all together `limit`. A step that ends
        other than with status 0 fails the trial and raises RunbookFailed, which ends the body like a failed
        assertion. With `fails` the *last* step must fail, and its output hold these words: one that ends well
        is also counted for the objective `undetected`. Without `check` nothing is raised, so that the
        body may count what is missing; the trial fails all the same.

        A placebo follows nothing: where nothing is broken, a repair would be the fault. Raises ConfigError
        for a runbook or step that there is not, HarnessError without a bash.
        """
        return Follower(self._current(), runbook, steps, fails).follow(env, seconds(limit), check)

    def count(self, name: str, value: int) -> None:
        """Record what the drill itself counted, for the objective `name` (see `Objectives`).

        Raises ConfigError for a name that is none.
        """
        self._current().count(name, value)

    def premise(self, what: str, met: bool) -> None:
        """Say whether what the hypothesis takes for granted came about: where it did not, nothing is proven.

        The trial is then unknown, and runs again, once. A placebo has no premise.
        """
        self._current().premise(what, met)

    def record_restore(
        self,
        what: str,
        *,
        backup: str,
        into: str,
        type: str,
        target: str | None = None,
        timeline: int | None = None,
        checks: Mapping[str, Check],
    ) -> None:
        """Record a restore that was done and checked: `blackstart evidence` tells it from here.

        `what` in words ("table turns"), `backup` the label of the backup, `into` the instance that it went
        to, `type` how far WAL was replayed (`time`, `lsn`, `name`, `immediate`, `default`) to which `target`
        as given, `timeline` the one that came of it. `checks` by name, as `True` or `(True, "1204 rows")`;
        one that failed fails the trial. A placebo records none. Raises ConfigError for an empty field and
        where there is no check.
        """
        record(self._current(), restore_event(what, backup, into, type, target, timeline, checks))

    def run(self, body: Callable[[Drill], None]) -> None:
        """Run `body` as a trial: load, baseline, body, undo, judgement, report; then assert.

        A trial that a validity gate made unknown runs again, once. Raises HypothesisFailed.
        """
        result = self._attempt_once(body)
        if result.gated and not self.session.stop.reason:
            open_ = [f"{f.objective} ({f.measured})" for f in result.findings if f.verdict is Verdict.UNKNOWN]
            self.session.progress.say(f"void: {'; '.join(open_)}: this trial is run again, once")
            supersede(result)
            if not await_calm(self.session.stop.asked):
                self.session.progress.say("others still take this machine's processors: it may be void again")
            void_s = sum(result.timings.values())
            result = self._attempt_once(body, f"run again: {result.folder.name} was void: {'; '.join(open_)}")
            result.timings["void"] = void_s
        self.results.append(result)
        self._assert(result)

    def _attempt_once(self, body: Callable[[Drill], None], *notes: str) -> Result:
        self._attempt += 1
        name = run_name(self.role, self.trial, self.control.variant if self.control else "")
        suffix = f"-again{self._attempt - 1}" if self._attempt > 1 else ""
        folder = self.session.folder / self.experiment.name / f"{name.replace(' ', '-')}{suffix}"
        self._begun = Attempt(self, folder, random.Random(self.seed))
        if self.ceilings > 1:
            self._begun.notes.append(f"timings judged by {self.ceilings:g} times their bounds")
        self._begun.notes += notes
        began = datetime.now(UTC)
        try:
            return self._begun.execute(lambda: body(self))
        except HarnessError:
            # What the containers say of the trouble is gone with them.
            with suppress(HarnessError, OSError):
                keep_logs(self.session.running, folder, began)
                self.session.progress.say(f"no verdict; what the containers logged is in {folder / 'logs'}")
            raise
        finally:
            self._begun = None

    def _current(self) -> Attempt:
        if self._begun is None:
            raise ConfigError("drill.inject and drill.observe are for use inside an @experiment test")
        return self._begun

    def _assert(self, result: Result) -> None:
        where = f"\n  report: {result.folder / 'report.html'}"
        if result.proof is Verdict.PASS:
            return
        if self.control and result.proof is Verdict.FAIL:
            raise HypothesisFailed(
                f"NOT CAUGHT: on stack variant {self.control.variant!r} the objective "
                f"{self.control.breaks!r} had to break, and did not "
                f"(broken: {', '.join(result.broke) or 'none'}).\n{_lines(result)}{where}"
            )
        word = "UNKNOWN" if result.proof is Verdict.UNKNOWN else "FAILED"
        raise HypothesisFailed(f"{word}: {self.experiment.hypothesis}\n{_lines(result)}{where}")


def _lines(result: Result) -> str:
    return "\n".join(
        f"  {f.verdict.value:7} {f.objective}: {f.measured}"
        + (f" (bound {f.bound})" if f.bound is not None else "")
        for f in result.findings
        if f.verdict is not Verdict.PASS
    )
