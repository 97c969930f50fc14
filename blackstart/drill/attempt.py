"""One execution of an experiment: the life cycle from the baseline to the judgement."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackstart.drill.console import wait_for_enter
from blackstart.drill.gates import Gates, StealGate
from blackstart.drill.placebo import NotInjected
from blackstart.drill.record import keep_logs, note_fault, trial_event, write_run
from blackstart.drill.result import Result
from blackstart.drill.until import Until
from blackstart.drill.weakening import strengthen, weaken
from blackstart.faults import Fault
from blackstart.history.writer import EventWriter
from blackstart.injection.injector import Injection, Injector
from blackstart.injection.journal import Journal
from blackstart.injection.stopping import Stopped, StopWatch
from blackstart.load.process import LoadProcess
from blackstart.measure.run import evaluate
from blackstart.model.durations import human, seconds
from blackstart.model.errors import (
    BiteError,
    ConfigError,
    HarnessError,
    LoadError,
    RunbookFailed,
    SteadyStateError,
)
from blackstart.model.experiment import Role
from blackstart.model.objectives import COUNTED, OF_THE_FAULT
from blackstart.model.stack import Variant
from blackstart.model.verdict import Verdict
from blackstart.report.build import build
from blackstart.report.words import fault_words, plural
from blackstart.stack.provision import reset, steady

if TYPE_CHECKING:
    from blackstart.drill.trial import Drill

#: Seconds of clean load that must follow the recovery; a later relapse would otherwise go unseen, and
#: the RTO of a kind whose last operation is due less than 3 s after the recovery is censored.
SETTLE_S = 5.0
#: A baseline is clean when clients have been well for this long, within the limit.
BASELINE_S = 1.0
BASELINE_LIMIT_S = 30.0
#: The component may recover before its clients do; how long they are given on top of the limit.
CLIENT_LIMIT_S = 30.0
RESET_LIMIT = "60s"
#: A placebo watches this long where the drill waits for its condition.
PLACEBO_S = 10.0


class Attempt:
    """The machinery of one execution; everything that it starts, it stops."""

    def __init__(self, drill: Drill, folder: Path, rng: random.Random) -> None:
        self.drill, self.folder, self.rng = drill, folder, rng
        self.session, self.spec, self.role = drill.session, drill.experiment, drill.role
        self.running, self.stop = drill.session.running, drill.session.stop
        self.faults: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.timings: dict[str, float] = {}
        self.schedule: list[dict[str, Any]] = []
        self.undetected = 0
        self._begun = False
        self.clean = False
        self._before: dict[str, dict[str, str]] = {}

    # -- the life cycle -------------------------------------------------------------------------------

    def execute(self, body: Callable[[], None]) -> Result:
        """Run the whole life cycle of DESIGN section 4 and return the result."""
        say = self.session.progress.say
        self.folder.mkdir(parents=True, exist_ok=True)
        say(f"{self.spec.name} [{self.folder.name}]: {self.spec.hypothesis}")
        self._timed("prepare", self._prepare)
        wall = datetime.now(UTC)
        with ExitStack() as stack:
            variant = self._weaken(stack)
            self.start_ns = time.monotonic_ns()
            self.events = EventWriter(self.folder / "events.jsonl", self._clock)
            stack.callback(self.events.close)
            self.gates = Gates(self.events.write)
            self.events.write("drill", "trial", **trial_event(self.drill, wall))
            self.events.write("drill", "objectives", objectives=self._objectives())
            self._observe_components(stack)
            journal = Journal(self.running.run_id)
            self.injector = Injector(self.running, self._fault_event, journal, self.spec.blast_radius)
            load = self._start_load(stack)
            stack.callback(self.injector.undo_all)
            self.load, self.variant = load, variant
            watch = StopWatch(self.stop, self.session.stop_conditions, self._stopped)
            watch.start()
            stack.callback(watch.stop)
            self._timed("baseline", self._baseline)
            began = time.monotonic()
            if self.clean:
                self._strike(body)
            self.timings["fault"] = time.monotonic() - began
            self._timed("undo", self._undo)
            if (variant is None or variant.steady) and not self.stop.reason:
                self._timed("recovery", self._recover)
            limit_s = CLIENT_LIMIT_S if variant is None else SETTLE_S + 5
            self._timed("settle", lambda: self._settle("after the undo", limit_s))
            self.gates.counting = False
            load.stop()
            # What is held in the end is read from a stack that is well: a weakness may hide it.
            self._timed("reset", self._strengthen)
            self._timed("final_reads", lambda: load.final_reads(20.0))
            keep_logs(self.running, self.folder, wall)
        return self._judge(wall)

    def _timed(self, name: str, step: Callable[[], Any]) -> None:
        begin = time.monotonic()
        step()
        self.timings[name] = self.timings.get(name, 0.0) + time.monotonic() - begin

    def _prepare(self) -> None:
        if (left := strengthen(self.running)) is not None:
            self.session.progress.say(f"an earlier run left the stack weakened ({left}): put right")
        reset(self.running, RESET_LIMIT)
        if self.spec.prepare is not None:
            self.spec.prepare(self.running)

    def _weaken(self, stack: ExitStack) -> Variant | None:
        if self.drill.control is None:
            return None
        name = self.drill.control.variant
        self.session.progress.say(f"weakening the stack: {self.running.stack.variant(name).description}")
        stack.callback(self._strengthen)
        return weaken(self.running, name)

    def _strengthen(self) -> None:
        if strengthen(self.running) is not None:
            steady(self.running, RESET_LIMIT)

    def _strike(self, body: Callable[[], None]) -> None:
        """Run the test's body; what it finds out counts, and the evidence is kept whatever it is."""
        try:
            body()
        except (Stopped, RunbookFailed):
            return  # noted by `_stopped`, and by the runbook's own events
        except BiteError as error:
            self._find("bite", None, str(error), Verdict.UNKNOWN)
        except AssertionError as error:
            self._find("assertion", None, str(error) or "failed", Verdict.FAIL)
        except HarnessError:
            raise
        except Exception as error:
            # A look around that failed says nothing of the hypothesis.
            raise HarnessError(f"the drill's own code failed: {type(error).__name__}: {error}") from error

    def _recover(self) -> None:
        """The whole stack must be well again, not only its clients; one that stays ill fails the drill."""
        try:
            steady(self.running, RESET_LIMIT)
        except SteadyStateError as error:
            self.notes.append(str(error))
            # The first line counts the conditions that do not hold, the next ones name them.
            told = "; ".join(line.strip() for line in str(error).splitlines()[:4])
            self._find("steady state", f"within {RESET_LIMIT}", told, Verdict.FAIL)

    def _stopped(self, reason: str) -> None:
        """Undo at once, from the watching thread: the body may be anywhere. Timing is void, as by a gate."""
        self.session.progress.say(f"stopping: {reason}")
        with contextlib.suppress(HarnessError):  # met again, and raised, by `_undo`
            self.injector.halt(reason)
        self._find("stopped", None, reason, Verdict.UNKNOWN)
        self.gates.trip("stopped")

    def _find(self, objective: str, bound: Any, measured: str, verdict: Verdict) -> None:
        """Record a finding of the drill itself in the events, from which the verdict is computed."""
        told = {"objective": objective, "bound": bound, "measured": measured, "verdict": verdict.value}
        self.events.write("drill", "finding", **told)

    def _observe_components(self, stack: ExitStack) -> None:
        for source in self.running.stack.sources:
            source.start(self.running, self.gates.event)
            stack.callback(source.stop)
        gate = StealGate(self.gates.trip, ceilings=self.drill.ceilings)
        gate.start()
        stack.callback(gate.stop)

    def _start_load(self, stack: ExitStack) -> LoadProcess:
        if self.running.stack.load is None:
            raise ConfigError(f"stack {self.running.stack.name!r} declares no load")
        declared = self.running.stack.load(self.running).at_rates(self.spec.load)
        self.plan = replace(declared, seed=self.drill.seed)
        load = LoadProcess(self.plan, self.folder, self.start_ns, self._load_line)
        stack.callback(load.kill)
        load.start()
        return load

    def _baseline(self) -> None:
        """Wait for well clients. Where they are not, nothing is injected: it would prove nothing."""
        try:
            self.load.wait_clean(BASELINE_S, 0.99, BASELINE_LIMIT_S, unless=self.stop.asked.is_set)
            self.clean = self.gates.counting = True
            self.events.write("drill", "baseline")
        except LoadError as error:
            if not self.load.alive:
                raise
            self._find("baseline", f"{BASELINE_S:.0f} s at 99 %", str(error), Verdict.UNKNOWN)

    def _undo(self) -> None:
        if self.injector.in_force:
            self.session.progress.say(f"undoing {plural(len(self.injector.in_force), 'fault')}")
        self.injector.undo_all()

    # -- what the test calls --------------------------------------------------------------------------

    def inject(self, fault: Fault, **told: Any) -> Injection | NotInjected:
        """See Drill.inject; `told` is recorded in the schedule besides."""
        fault.validate(self.running.stack)
        if self.role is Role.PLACEBO:
            self.notes.append(f"placebo: not injected: {fault.to_dict()}")
            return NotInjected(fault)
        self.begin()
        if not (self._before and self.injector.in_force):
            self._before = {s: dict(self.running.role_map(s)) for s in self.running.stack.roles}
        self.schedule.append({"action": "inject", **told, "fault": fault.to_dict()})
        self.session.progress.say(f"injecting {fault_words(fault.to_dict())}")
        self.stop.wait(0)
        try:
            injection = self.injector.inject(fault)
        except HarnessError:
            self.stop.wait(0)  # it was given up because the run is to stop
            raise
        if self.drill.step:
            limit = human(seconds(fault.max_duration))
            self.session.progress.say(f"in force, undone after {limit} at the latest; Enter goes on")
            wait_for_enter(self.stop.asked)
            self.stop.wait(0)
        return injection

    def begin(self) -> None:
        """Once, before the first fault: it strikes at any moment of the slowest detector's period."""
        if self._begun or self.role is Role.PLACEBO:
            return
        self._begun = True
        phase_s = self.rng.uniform(0, seconds(self.running.stack.detector_period))
        self.schedule.append({"action": "wait", "seconds": round(phase_s, 3)})
        self.stop.wait(phase_s)
        self._lead()

    def _lead(self) -> None:
        if self.variant is None:
            return
        for fault in self.variant.faults:
            self.session.progress.say(f"weakening further: {fault_words(fault.to_dict())}")
            self.schedule.append({"action": "weaken", "fault": fault.to_dict()})
            self.injector.inject(fault, source="variant")
        self.stop.wait(seconds(self.variant.lead))

    def hold(self, duration_s: float) -> None:
        """See Drill.hold."""
        self.schedule.append({"action": "wait", "seconds": duration_s})
        deadline = time.monotonic() + duration_s
        while (left := deadline - time.monotonic()) > 0:
            if not self.load.alive:
                raise LoadError("the load client ended in the middle of the drill")
            self.stop.wait(min(left, 0.5))

    @contextlib.contextmanager
    def peak(self, rates: Mapping[str, float]) -> Iterator[None]:
        """See Drill.peak."""
        usual = {o.f: o.rate for o in self.plan.operations if o.f in rates}
        if self.role is Role.PLACEBO:
            self.plan.at_rates(rates)
            self.notes.append(f"placebo: the load stayed as it is, not at {rates}")
            yield
            return
        self._turn_to(rates)
        try:
            yield
        finally:
            if self.load.alive:
                self._turn_to(usual)

    def _turn_to(self, rates: Mapping[str, float]) -> None:
        self.load.turn_to(rates)
        self.schedule.append({"action": "load", "rates": dict(rates)})
        self.events.write("drill", "load", rates=dict(rates))
        self.session.progress.say(f"load: {', '.join(f'{f} {rate:g}/s' for f, rate in rates.items())}")

    def count(self, name: str, value: int) -> None:
        """See Drill.count."""
        if name not in COUNTED:
            raise ConfigError(f"nothing is called {name!r} that a drill counts; known: {', '.join(COUNTED)}")
        self.events.write("drill", "count", name=name, value=value)

    def premise(self, what: str, met: bool) -> None:
        """See Drill.premise."""
        if self.role is not Role.PLACEBO and not met:
            self._find("premise", what, "did not come about", Verdict.UNKNOWN)

    def observe(self, until: Until | None, limit_s: float) -> bool:
        """See Drill.observe."""
        if self.role is Role.PLACEBO:
            self.hold(PLACEBO_S)
            return True
        if until is not None:
            self._await(until, limit_s)
            limit_s = CLIENT_LIMIT_S
        return self._settle("while the fault was in force", max(limit_s, SETTLE_S + 1))

    def _await(self, until: Until, limit_s: float) -> None:
        until.begin(self._before)
        began, last = time.monotonic(), "nothing yet"
        while (elapsed := time.monotonic() - began) < limit_s:
            seen = until.check(self.running)
            if seen is None:
                self.session.progress.say(f"{until.describe()}: after {human(elapsed)}")
                self.schedule.append(
                    {"action": "observe", "until": until.describe(), "seconds": round(elapsed, 3)}
                )
                return
            last = seen
            self.stop.wait(0.05)
        text = f"not within {human(limit_s)}; last seen: {last}"
        self._find("observe", until.describe(), text, Verdict.FAIL)

    def _settle(self, when: str, limit_s: float) -> bool:
        """Wait for clients that are well for a while; a stack that stays ill is a finding, not an error."""
        try:
            self.load.wait_clean(SETTLE_S, 0.99, limit_s, unless=self.stop.asked.is_set)
        except LoadError as error:
            if not self.load.alive:
                raise
            self.notes.append(f"clients were not well again {when}: {error}")
            return False
        return True

    # -- events ---------------------------------------------------------------------------------------

    def _clock(self) -> int:
        return time.monotonic_ns() - self.start_ns

    def _objectives(self) -> dict[str, Any]:
        objectives = self.spec.objectives.to_dict()
        if self.role is Role.PLACEBO:
            for name in OF_THE_FAULT:
                objectives.pop(name, None)
        return objectives

    def _fault_event(self, source: str, event: str, **fields: Any) -> None:
        now_s = self._clock() / 1e9
        self.events.write(source, event, **fields)
        note_fault(self.faults, now_s, source, event, **fields)
        if event == "begin":
            hit, container = fields.get("targets", ()), self.running.container
            self.gates.strike(i.name for i in self.running.stack.instances if container(i.name) in hit)

    def _load_line(self, line: dict[str, Any]) -> None:
        if self.role is Role.DRILL:
            self.session.spend(line.get("fail", 0) + line.get("info", 0))
        if gate := line.get("gate"):
            self.gates.trip(str(gate))
        self.session.progress.tick(
            f"{line.get('t', 0):5.0f}s  ok {line.get('ok', 0)}  fail {line.get('fail', 0)}  "
            f"info {line.get('info', 0)}  start lag p99 {line.get('lag_ms_p99', 0):.1f} ms"
        )

    # -- the end --------------------------------------------------------------------------------------

    def _judge(self, wall: datetime) -> Result:
        evaluation = evaluate(self.folder)
        self.notes += evaluation.notes
        result = Result(
            self.spec,
            self.role,
            self.drill.trial,
            self.folder,
            evaluation.verdict,
            evaluation.findings,
            evaluation.to_dict(),
            evaluation.checked(),
            self.timings,
            self.notes,
            self.drill.control,
            [each.to_dict() for each in evaluation.splits()],
        )
        write_run(self, result, wall)
        self._timed("report", lambda: build(self.folder, self.running.stack.secrets))
        return result
