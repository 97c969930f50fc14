"""What the watchdog does once the test process is gone, on a platform in memory."""

from __future__ import annotations

import threading
import time

import pytest

from blackstart.faults import freeze, kill, restart
from blackstart.faults.freeze import Freeze
from blackstart.injection import watchdog
from blackstart.injection.injector import Injector
from blackstart.injection.journal import Journal
from blackstart.injection.state import RunRecord, boot_id
from blackstart.injection.watchdog import clean_up
from blackstart.model.errors import BiteError
from blackstart.platforms.capabilities import left
from blackstart.platforms.waiting import wait_until
from tests.faults.fakes import FakeSite, site


@pytest.fixture
def where() -> FakeSite:
    return site()


def recorded(where: FakeSite) -> None:
    fault = freeze("app-1")
    Journal("r1").record(fault.to_dict(), fault.plan(where))


def soon() -> float:
    return time.monotonic() + 10


def test_a_request_of_the_dead_process_that_strikes_late_is_undone_too(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(where)
    is_paused, asked = where.platform.is_paused, 0

    def late(name: str) -> bool:
        """The fault strikes right after it was seen to be undone."""
        nonlocal asked
        asked += 1
        seen = is_paused(name)
        if asked == 2:
            where.platform.pause(name)
        return seen

    monkeypatch.setattr(where.platform, "is_paused", late)
    monkeypatch.setattr(watchdog, "LATE_S", 0.01)
    assert clean_up("r1", where.platform, soon())
    assert where.platform.state["bs-r1-app-1"] == "running"
    assert Journal("r1").in_force() == []


def test_faults_are_undone_within_five_seconds_even_if_looked_at_twice() -> None:
    assert watchdog.UNDO_S + watchdog.LATE_S + 0.5 <= 5


def test_a_network_that_the_engine_cannot_let_go_of_is_clean(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(where)
    RunRecord("r1", 1, boot_id(), True).write()
    remove = where.platform.remove_run
    monkeypatch.setattr(where.platform, "remove_run", lambda run: [*remove(run), left("blackstart-r1")])
    assert clean_up("r1", where.platform, soon())
    assert where.platform.state == {}


def test_a_fault_whose_injection_hangs_is_undone_by_the_watchdog(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "OVERDUE_S", 0.0)
    monkeypatch.setattr(Freeze, "bite_limit", 0.1)
    pause, struck, over = where.platform.pause, threading.Event(), threading.Event()

    def hang(name: str) -> None:
        pause(name)
        struck.set()
        over.wait(30)

    monkeypatch.setattr(where.platform, "pause", hang)
    injector = Injector(where, lambda *_, **__: None, Journal("r1"))

    def inject() -> None:
        with pytest.raises(BiteError):  # by then it was undone behind its back
            injector.inject(freeze("app-1", max_duration="1ms"))

    thread = threading.Thread(target=inject, daemon=True)
    thread.start()
    try:
        assert struck.wait(10)
        wait_until("the fault to be overdue and undone", lambda: _overdue_undone(where), limit=10)
        assert not over.is_set()
    finally:
        over.set()
        thread.join(10)
    assert not injector.in_force


def test_an_overdue_fault_takes_along_what_holds_it_down(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "OVERDUE_S", 0.0)
    for fault in (restart("app-1", timeout=0, max_duration="1ms"), kill("app-1"), kill("pg-1")):
        plan = fault.plan(where)
        Journal("r1").record(fault.to_dict(), plan)
        fault.inject(where, plan)
    wait_until("the first to be overdue", lambda: _overdue_undone(where, left=1), limit=5)
    assert [e.undo.targets for e in Journal("r1").in_force()] == [("bs-r1-pg-1",)]


def _overdue_undone(where: FakeSite, left: int = 0) -> str | None:
    watchdog._undo_overdue("r1", where.platform)
    if len(Journal("r1").in_force()) > left:
        return "in the journal"
    return None if where.platform.state["bs-r1-app-1"] == "running" else "in force"
