"""The injector: order of deeds, and every way out undoes the fault."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from blackstart.faults import Fault, Platform, Undo, cpu_throttle, freeze, kill, restart
from blackstart.faults.freeze import Freeze
from blackstart.faults.kill import Kill
from blackstart.injection.injector import Injector
from blackstart.injection.journal import Journal
from blackstart.injection.lock import FileLock
from blackstart.injection.state import RunRecord, boot_id, state_dir
from blackstart.injection.undoing import undo_fully
from blackstart.model.errors import (
    BiteError,
    CapabilityMissing,
    ConfigError,
    InjectionError,
    PlatformError,
    UndoError,
)
from blackstart.platforms.capabilities import ExecResult
from tests.faults.fakes import FakeSite, site


@dataclass
class Log:
    """Events as they came, with what the platform had seen by then."""

    where: FakeSite
    events: list[tuple[str, str]] = field(default_factory=list)
    fields: list[dict[str, Any]] = field(default_factory=list)
    deeds: list[int] = field(default_factory=list)

    def __call__(self, source: str, event: str, **fields: Any) -> None:
        self.events.append((source, event))
        self.fields.append(fields)
        self.deeds.append(len(self.where.platform.log))


@pytest.fixture
def where() -> FakeSite:
    return site()


@pytest.fixture
def log(where: FakeSite) -> Log:
    return Log(where)


@pytest.fixture
def injector(where: FakeSite, log: Log) -> Injector:
    return Injector(where, log, Journal("r1"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Kill, Freeze):
        monkeypatch.setattr(kind, "bite_limit", 0.1)
        monkeypatch.setattr(kind, "grace", 0.1)
    monkeypatch.setattr(
        "blackstart.injection.injector.undo_fully",
        lambda undo, platform, limit_s: undo_fully(undo, platform, limit_s=0.4),
    )


def test_begin_before_the_deed_then_bite_and_end_after_the_undo(injector: Injector, log: Log) -> None:
    fault = freeze("app-1")
    with injector.inject(fault) as injection:
        assert injection.bite == "paused: bs-r1-app-1"
        assert injection.in_force
        assert [e.id for e in Journal("r1").in_force()]
    assert log.events == [("fault", "begin"), ("injection", "bite"), ("fault", "end")]
    assert log.deeds == [0, 1, 2]
    assert log.fields[0]["fault"] == log.fields[2]["fault"] == fault.to_dict()
    assert log.fields[0]["targets"] == ["bs-r1-app-1"]
    assert log.fields[2]["bite"] == injection.bite
    assert Journal("r1").in_force() == []
    injection.undo()
    assert len(log.events) == 3, "undo is idempotent"


def test_an_effect_that_is_gone_before_its_undo_is_told(
    injector: Injector, where: FakeSite, log: Log
) -> None:
    with injector.inject(freeze("app-1")):
        where.platform.unpause("bs-r1-app-1")
    assert log.events[2:] == [("injection", "lost"), ("fault", "end")]
    assert log.fields[2]["fault"] == freeze("app-1").to_dict()


def test_what_a_supervisor_brings_back_is_not_lost(injector: Injector, log: Log) -> None:
    injector.inject(kill("pg-1", process="postgres")).undo()
    assert ("injection", "lost") not in log.events


def test_the_source_of_a_variants_fault_is_kept(injector: Injector, log: Log) -> None:
    injector.inject(freeze("app-1"), source="variant").undo()
    assert [e for e in log.events if e[0] != "injection"] == [("variant", "begin"), ("variant", "end")]


def test_the_journal_holds_the_undo_before_the_fault_strikes(
    injector: Injector, where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Undo] = []
    monkeypatch.setattr(
        where.platform, "kill", lambda name: seen.extend(e.undo for e in Journal("r1").in_force())
    )
    with pytest.raises(BiteError):
        injector.inject(kill("app-1"))
    assert seen[0].targets == ("bs-r1-app-1",)


def test_a_fault_that_does_not_bite_is_undone(
    injector: Injector, where: FakeSite, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where.platform, "pause", lambda name: None)
    with pytest.raises(BiteError, match=r"the bite of freeze.*is not paused"):
        injector.inject(freeze("app-1"))
    assert log.events == [("fault", "begin"), ("fault", "end")]
    assert Journal("r1").in_force() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), PlatformError("engine gone"), SystemExit(1)])
def test_whatever_stops_an_injection_halfway_undoes_it(
    injector: Injector, where: FakeSite, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    pause = where.platform.pause

    def half(name: str) -> None:
        pause(name)
        raise error

    monkeypatch.setattr(where.platform, "pause", half)
    with pytest.raises(type(error)):
        injector.inject(freeze("postgres"))
    assert where.platform.state["bs-r1-pg-1"] == "running"
    assert Journal("r1").in_force() == []


def test_ctrl_c_during_the_undo_undoes_first(
    injector: Injector, where: FakeSite, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    injector.inject(freeze("app-1"))
    unpause = where.platform.unpause
    answers: list[Callable[[str], None]] = [_interrupt, unpause]
    monkeypatch.setattr(where.platform, "unpause", lambda name: answers.pop(0)(name))
    with pytest.raises(KeyboardInterrupt):
        injector.undo_all()
    assert where.platform.state["bs-r1-app-1"] == "running"
    assert log.events[-1] == ("fault", "end")
    injector.undo_all()
    assert log.events.count(("fault", "end")) == 1


def _interrupt(name: str) -> None:
    raise KeyboardInterrupt


def test_an_undo_that_fails_leaves_the_fault_in_force_and_says_what_to_do(
    injector: Injector, where: FakeSite, log: Log
) -> None:
    injector.inject(freeze("app-1"))
    injector.inject(kill("pg-2"))
    where.platform.broken = True
    with pytest.raises(UndoError) as caught:
        injector.undo_all()
    assert "docker unpause bs-r1-app-1" in str(caught.value)
    assert "docker start bs-r1-pg-2" in str(caught.value)
    assert log.events[-2:] == [("injection", "not-undone")] * 2
    assert len(Journal("r1").in_force()) == 2
    where.platform.broken = False
    injector.undo_all()
    assert set(where.platform.state.values()) == {"running"}
    assert Journal("r1").in_force() == []


def test_one_undo_that_fails_does_not_keep_the_others_in_force(
    injector: Injector, where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    injector.inject(freeze("app-1"))
    injector.inject(freeze("pg-2"))
    unpause = where.platform.unpause
    monkeypatch.setattr(where.platform, "unpause", lambda n: None if n.endswith("pg-2") else unpause(n))
    with pytest.raises(UndoError, match="still paused: bs-r1-pg-2"):
        injector.undo_all()
    assert where.platform.state["bs-r1-app-1"] == "running"


def test_a_process_that_nobody_restarts_comes_back_with_its_container(
    injector: Injector, where: FakeSite
) -> None:
    where.platform.supervised.clear()
    injector.inject(kill("postgres.primary", process="postgres")).undo()
    assert where.platform.log[-2:] == ["exited bs-r1-pg-1", "running bs-r1-pg-1"]


def test_faults_are_undone_newest_first(injector: Injector, where: FakeSite) -> None:
    with injector:
        injector.inject(freeze("pg-1"))
        injector.inject(freeze("pg-2"))
    assert where.platform.log[-2:] == ["running bs-r1-pg-2", "running bs-r1-pg-1"]


def test_what_a_newer_fault_holds_down_is_undone_after_it(
    injector: Injector, where: FakeSite, log: Log
) -> None:
    older = injector.inject(restart("app-1"))
    newer, beside = injector.inject(kill("app-1")), injector.inject(freeze("pg-2"))
    older.undo()
    assert not newer.in_force, "its container was not started behind its back"
    assert [f["fault"]["kind"] for (_, e), f in zip(log.events, log.fields, strict=True) if e == "end"] == [
        "kill",
        "restart",
    ]
    assert beside.in_force
    assert where.platform.state["bs-r1-pg-2"] == "paused"


def test_of_two_settings_on_one_target_the_newer_is_put_back_first(
    injector: Injector, where: FakeSite
) -> None:
    where.platform.answer = lambda name, cmd: ExecResult(0, "1 5")
    older = injector.inject(cpu_throttle("app-1", cpus=0.5))
    newer = injector.inject(cpu_throttle("app-1", cpus=0.2))
    older.undo()
    newer.undo()
    assert where.platform.cpus == {"bs-r1-app-1": None}
    assert Journal("r1").in_force() == []


def test_a_newer_fault_that_cannot_be_undone_does_not_keep_the_older_in_force(
    injector: Injector, where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = injector.inject(restart("app-1")), injector.inject(freeze("app-1"))
    monkeypatch.setattr(where.platform, "unpause", lambda name: None)
    older.undo()
    assert [i.in_force for i in (older, newer)] == [False, True]


def test_a_fault_ends_at_its_maximum_duration(injector: Injector, where: FakeSite) -> None:
    ended = threading.Event()
    events = injector._events

    def note(source: str, event: str, **fields: Any) -> None:
        events(source, event, **fields)
        if event == "end":
            ended.set()

    injector._events = note
    injection = injector.inject(freeze("app-1", max_duration="50ms"))
    assert ended.wait(5)
    assert where.platform.state["bs-r1-app-1"] == "running"
    injection.undo()
    assert injection.expired


def test_a_fault_that_expires_while_it_is_injected_is_undone_once_it_struck(
    injector: Injector, where: FakeSite, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired, ended = threading.Event(), threading.Event()
    pause = where.platform.pause

    def note(source: str, event: str, **fields: Any) -> None:
        log(source, event, **fields)
        {"expired": expired, "end": ended}.get(event, threading.Event()).set()

    def slow(name: str) -> None:
        assert expired.wait(5)
        ended.wait(0.3)  # an undo that does not wait for us has time to come first
        pause(name)

    monkeypatch.setattr(where.platform, "pause", slow)
    injector._events = note
    injector.inject(freeze("app-1", max_duration="10ms"))
    assert ended.wait(5)
    assert where.platform.state["bs-r1-app-1"] == "running"
    assert log.events[-1] == ("fault", "end")
    assert Journal("r1").in_force() == []


def test_whatever_error_stops_one_undo_the_older_faults_are_undone(
    injector: Injector, where: FakeSite, log: Log
) -> None:
    for target in ("app-1", "pg-1", "pg-2"):
        injector.inject(freeze(target))

    def full(source: str, event: str, **fields: Any) -> None:
        if fields["targets"] != ["bs-r1-app-1"]:
            raise OSError(28, "No space left on device")
        log(source, event, **fields)

    injector._events = full
    with pytest.raises(UndoError, match=r"No space left.*\n.*No space left"):
        injector.undo_all()
    assert set(where.platform.state.values()) == {"running"}
    assert log.events[-1] == ("fault", "end")


def test_a_full_disk_does_not_keep_a_fault_in_force_beyond_its_time(
    injector: Injector, where: FakeSite, log: Log
) -> None:
    def full(source: str, event: str, **fields: Any) -> None:
        if event == "expired":
            raise OSError(28, "No space left on device")
        log(source, event, **fields)
        if event == "end":
            ended.set()

    ended = threading.Event()
    injector._events = full
    injector.inject(freeze("app-1", max_duration="50ms"))
    assert ended.wait(5)
    assert where.platform.state["bs-r1-app-1"] == "running"


def test_what_the_run_did_not_make_is_not_touched(injector: Injector, where: FakeSite) -> None:
    where.platform.run_id = "another"
    with pytest.raises(InjectionError, match="not touched, for not of run r1: bs-r1-app-1"):
        injector.inject(freeze("app-1"))
    assert where.platform.log == []


def test_a_run_whose_watchdog_died_injects_nothing(injector: Injector, where: FakeSite) -> None:
    RunRecord("r1", 1, boot_id(), True).write()
    with pytest.raises(InjectionError, match="watchdog of run r1 is gone"):
        injector.inject(freeze("app-1"))
    assert where.platform.log == []
    with FileLock(state_dir("r1") / "watchdog.lock", "watchdog"):
        injector.inject(freeze("app-1")).undo()


def test_an_unknown_target_is_refused_before_anything_is_written(injector: Injector, log: Log) -> None:
    with pytest.raises(ConfigError, match="known: primary, replica"):
        injector.inject(kill("postgres.leader"))
    assert log.events == []
    assert not state_dir("r1").exists()


def test_a_platform_that_cannot_do_it_is_named(where: FakeSite, log: Log) -> None:
    class Bare:
        def list(self, run_id: str) -> list[object]:
            return []

    where.platform = Bare()  # type: ignore[assignment]
    with pytest.raises(CapabilityMissing, match="Bare cannot pause"):
        Injector(where, log, Journal("r1")).inject(freeze("app-1"))


def test_undoing_tries_again_while_the_platform_fails_at_first(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault: Fault = freeze("app-1")
    plan = fault.plan(where)
    fault.inject(where, plan)
    tries: list[int] = []

    def flaky(undo: Undo, platform: Platform) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise PlatformError("busy")
        platform.unpause(undo.targets[0])

    monkeypatch.setattr(Freeze, "undo", staticmethod(flaky))
    undo_fully(plan, where.platform, limit_s=5, grace_s=4)
    assert len(tries) == 3
