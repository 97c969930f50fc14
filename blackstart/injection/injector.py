"""The injector: journal, inject, see it bite; and every fault undone, whatever happens."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Protocol

from blackstart.faults import Fault, Site, Undo
from blackstart.injection.expiry import LATE_S, arm, disarm
from blackstart.injection.journal import Journal, Step
from blackstart.injection.radius import Touched, refuse_beyond, refuse_total_loss, running, touched
from blackstart.injection.state import RunRecord
from blackstart.injection.undoing import goes_first, undo_fully
from blackstart.injection.watchdog import watched
from blackstart.model.blast import BlastRadius
from blackstart.model.durations import human, seconds
from blackstart.model.errors import BiteError, HarnessError, InjectionError, UndoError
from blackstart.platforms.capabilities import require
from blackstart.platforms.waiting import stoppable, wait_for

#: Seconds that undoing a fault may take, escalation included; and once that was in vain.
UNDO_S, AGAIN_S = 60.0, 5.0


class Events(Protocol):
    """Where events go; thread-safe. `EventWriter.write` is one."""

    def __call__(self, source: str, event: str, **fields: Any) -> None: ...


class Injection:
    """A fault in force; a context manager that undoes it.

    First are undone those newer ones without whose end it could not be (`goes_first`): what was frozen after
    its edges were slowed goes on before they are quick again, also where their time is over first.

    `bite` says what showed it, `plan` is how to undo it, `touched` whom it touches (None for a weakening),
    `expired` tells that its time ran out, `given_up`
    that undoing it failed once already.
    """

    def __init__(
        self, fault: Fault, plan: Undo, touched: Touched | None, undo: Callable[[Injection], None]
    ) -> None:
        self.fault, self.plan, self.touched = fault, plan, touched
        self.bite = ""
        self.expired = False
        self.given_up = False
        self._undo, self._undone = undo, False
        # Held from the injection to its bite too, lest an undo finds nothing yet and is then overtaken.
        self._lock = threading.RLock()

    @property
    def in_force(self) -> bool:
        """Whether it still has to be undone."""
        return not self._undone

    def undo(self) -> None:
        """Undo, see that it is undone, and note the end; idempotent. After UndoError it is still in force."""
        with self._lock:
            if self._undone:
                return
            self._undo(self)
            self._undone = True

    def __enter__(self) -> Injection:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()


class Injector:
    """Injects faults into one running stack; a context manager that undoes what is left.

    `events(source, event, **fields)` gets `begin` just before a fault acts and `end` once it is seen to be
    undone, both with the fault as a dict; `injection`/`bite` in between with what showed it, and
    `injection`/`lost` if the effect was gone before its undo. `radius` bounds what may be touched together,
    and with it goes the quorum guard; without one neither is looked at.
    `reached` is called at each step of an injection, as it is about to go on.
    """

    def __init__(
        self,
        running: Site,
        events: Events,
        journal: Journal,
        radius: BlastRadius | None = None,
        reached: Callable[[Step], None] = lambda step: None,
    ) -> None:
        self.running, self.journal, self.radius, self._reached = running, journal, radius, reached
        self._events = events
        self._injections: list[Injection] = []
        self._halted, self._halt = "", threading.Event()

    def inject(self, fault: Fault, source: str = "fault") -> Injection:
        """Bring `fault` about and return once it bites.

        Whatever goes wrong after the journal entry, Ctrl-C included, the fault is undone before this raises.
        Raises ConfigError (no such target or parameter), CapabilityMissing, InjectionError, BiteError.
        """
        self._refuse_halted()
        fault.validate(self.running.stack)
        require(self.running.platform, *fault.capabilities)
        plan = fault.plan(self.running)
        reach = self._refuse_unsafe(fault, plan, weakening=source != "fault")
        self._refuse_unwatched()
        self._reached(Step.PLANNED)
        entry = self.journal.record(fault.to_dict(), plan)
        self._reached(Step.RECORDED)
        self._arm(plan, entry, seconds(fault.max_duration) + LATE_S)
        timer: threading.Timer

        def undo(injection: Injection) -> None:
            timer.cancel()
            self._undo_newer(injection)
            self._undo(injection, entry, source)

        injection = Injection(fault, plan, reach, undo)
        timer = threading.Timer(seconds(fault.max_duration), self._expire, (injection,))
        timer.daemon = True
        self._injections.append(injection)
        with injection._lock:
            try:
                self._reached(Step.ARMED)
                self._refuse_halted()
            except BaseException:
                injection._undone = True
                self._take_back(plan, entry)
                raise
            try:
                self._events(source, "begin", fault=fault.to_dict(), targets=list(plan.targets))
                timer.start()
                with stoppable(self._halt):
                    self._strike(injection)
            except BaseException as error:
                try:
                    injection.undo()
                except UndoError as worse:
                    raise worse from error
                raise
        return injection

    @property
    def in_force(self) -> list[Injection]:
        """What still has to be undone."""
        return [each for each in self._injections if each.in_force]

    def halt(self, reason: str) -> None:
        """From now on nothing is injected any more, and what is in force is undone; raises as `undo_all`.

        An injection under way that waits, for its bite say, is given up.
        """
        self._halted = reason
        self._halt.set()
        self.undo_all()

    def undo_all(self) -> None:
        """Undo what is in force, newest first, each even if another fails, in whatever way.

        Raises what one raised, UndoError that names all if there are several.
        """
        failed: list[Exception] = []
        for injection in reversed(self._injections):
            try:
                injection.undo()
            except Exception as error:  # noqa: BLE001 - every older fault must still be undone; raised below
                failed.append(error)
        if len(failed) == 1:
            raise failed[0]
        if failed:
            raise UndoError("\n".join(map(str, failed))) from ExceptionGroup("undoing failed", failed)

    def __enter__(self) -> Injector:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo_all()

    def _arm(self, plan: Undo, entry: str, after_s: float) -> None:
        """Before the fault strikes, lest it be in force without its helper."""
        try:
            arm(plan, self.running.platform, after_s)
        except BaseException:
            self._take_back(plan, entry)
            raise

    def _take_back(self, plan: Undo, entry: str) -> None:
        """What was made ready for a fault that has not struck."""
        disarm(plan, self.running.platform)
        self.journal.close(entry)

    def _refuse_halted(self) -> None:
        if self._halted:
            raise InjectionError(f"nothing injected: the run is to stop: {self._halted}")

    def _strike(self, injection: Injection) -> None:
        fault, plan = injection.fault, injection.plan
        self._reached(Step.STRIKING)
        fault.inject(self.running, plan)
        self._reached(Step.STRUCK)
        injection.bite = wait_for(
            f"the bite of {fault.kind}",
            lambda: fault.bite(self.running, plan),
            limit=min(fault.bite_limit, seconds(fault.max_duration)),
            every=0.05,
            error=BiteError,
        )
        self._events(
            "injection", "bite", fault=fault.to_dict(), targets=list(plan.targets), bite=injection.bite
        )
        self._reached(Step.BITTEN)

    def _undo_newer(self, injection: Injection) -> None:
        """Undo those that came later and must go first."""
        for newer in reversed(self._injections[self._injections.index(injection) + 1 :]):
            if newer.in_force and goes_first(newer.plan, injection.plan):
                with contextlib.suppress(UndoError):  # noted, and raised by its own undo; ours may succeed
                    newer.undo()

    def _undo(self, injection: Injection, entry: str, source: str) -> None:
        fields = {"fault": injection.fault.to_dict(), "targets": list(injection.plan.targets)}
        limit_s = AGAIN_S if injection.given_up else UNDO_S
        self._reached(Step.UNDOING)
        try:
            try:
                self._look_again(injection, fields)
                undo_fully(injection.plan, self.running.platform, limit_s)
            except KeyboardInterrupt:
                # The first Ctrl-C asks for an end, and that includes this; the second one means now, and
                # leaves the rest to the watchdog.
                undo_fully(injection.plan, self.running.platform, limit_s)
                self._ended(injection, entry, source, fields)
                raise
        except UndoError as error:
            injection.given_up = True
            self._note("not-undone", **fields, error=str(error))
            raise
        self._ended(injection, entry, source, fields)

    def _look_again(self, injection: Injection, fields: dict[str, Any]) -> None:
        """Note an effect that is gone before its undo: somebody else took it back, nobody knows when.

        Not where the trial is void anyhow and the undo should not wait.
        """
        fault, plan = injection.fault, injection.plan
        void = not injection.bite or injection.expired or injection.given_up or self._halted
        if void or not fault.lasts:
            return
        with contextlib.suppress(HarnessError, OSError):  # what cannot be told is met again by the undo
            if fault.undone(plan, self.running.platform) is None:
                self._note("lost", **fields)

    def _ended(self, injection: Injection, entry: str, source: str, fields: dict[str, Any]) -> None:
        self._reached(Step.UNDONE)
        injection._undone = True
        self.journal.close(entry)
        self._events(source, "end", **fields, bite=injection.bite, expired=injection.expired)

    def _expire(self, injection: Injection) -> None:
        """The maximum duration is over; a failure here is met again by `undo_all`, and by the watchdog.

        The watchdog also undoes a fault whose injection hangs, for which this one waits.
        """
        injection.expired = True
        fault, limit = injection.fault.to_dict(), human(seconds(injection.fault.max_duration))
        self._note("expired", fault=fault, limit=limit)
        try:
            injection.undo()
        except (HarnessError, OSError) as error:
            self._note("expired", fault=fault, error=str(error))

    def _note(self, event: str, **fields: Any) -> None:
        """Write an event if that can be: a full disk must neither keep a fault in force nor hide it."""
        with contextlib.suppress(HarnessError, OSError):
            self._events("injection", event, **fields)

    def _refuse_unsafe(self, fault: Fault, plan: Undo, *, weakening: bool) -> Touched | None:
        """Who is touched; InjectionError for containers of others, and beyond the blast radius or the quorum.

        A weakening of the stack is no fault of the drill: it is not bounded.
        """
        ours = self.running.platform.list(self.running.run_id)
        if foreign := set(plan.targets) - {c.name for c in ours}:
            raise InjectionError(
                f"not touched, for not of run {self.running.run_id}: {', '.join(sorted(foreign))}"
            )
        if weakening or self.radius is None:
            return None
        now = touched(fault, plan, self.running, ours)
        in_force = [each.touched for each in self.in_force if each.touched is not None]
        refuse_beyond(self.radius, now, in_force)
        refuse_total_loss(fault, now, in_force, self.running.stack, running(ours))
        return now

    def _refuse_unwatched(self) -> None:
        run_id = self.running.run_id
        if RunRecord.read(run_id) is not None and not watched(run_id):
            raise InjectionError(f"nothing injected: the watchdog of run {run_id} is gone")
