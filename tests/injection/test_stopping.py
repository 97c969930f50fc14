"""Stop conditions: each says why, the watch acts once and at once."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from blackstart.drill.console import Progress
from blackstart.drill.session import StackSession
from blackstart.faults import Fault, freeze, rolling_restart
from blackstart.injection.injector import Injector
from blackstart.injection.journal import Journal, Step
from blackstart.injection.stopping import ErrorBudget, Stop, StopFile, Stopped, StopProbe, Stops, StopWatch
from blackstart.model.errors import BiteError, ConfigError, InjectionError
from blackstart.platforms.capabilities import ExecResult
from blackstart.platforms.waiting import wait_until
from tests.faults.fakes import site, stack


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the status of now."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(type(self).status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Answers.status = 200
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_probe_stops_the_run_when_it_fails_twice_in_a_row(url: str) -> None:
    probe = StopProbe(url)
    assert probe.check() is None
    Answers.status = 500
    assert probe.check() is None
    Answers.status = 204
    assert probe.check() is None
    Answers.status = 404
    assert probe.check() is None
    assert probe.check() == f"the probe {url} answered 404, 2 times in a row"


def test_a_probe_that_cannot_be_reached_fails() -> None:
    probe = StopProbe("http://127.0.0.1:1/", failures=1)
    assert "did not answer (ConnectionError)" in (probe.check() or "")


def test_a_budget_is_burnt_by_one_more_than_its_limit() -> None:
    budget = ErrorBudget(10)
    budget.spend(10)
    assert budget.check() is None
    budget.spend(1)
    assert budget.check() == "the error budget is burnt: 11 operations not served, 10 allowed"
    with pytest.raises(ConfigError):
        ErrorBudget(-1)


def test_a_stop_file_stops_a_run_and_keeps_the_next_from_starting(tmp_path: Path) -> None:
    condition = StopFile(tmp_path / "STOP")
    condition.refuse()
    assert condition.check() is None
    (tmp_path / "STOP").touch()
    assert condition.check() == f"{tmp_path / 'STOP'} is there"
    with (
        pytest.raises(ConfigError, match="remove it to run drills again"),
        StackSession(stack(), tmp_path, Progress()),
    ):
        pytest.fail("it began")


def test_what_may_end_a_run_is_what_it_was_given(tmp_path: Path) -> None:
    assert Stops(tmp_path).conditions == (StopFile(tmp_path / "STOP"),)
    stops = Stops(tmp_path, probe="http://127.0.0.1:1/", error_budget=3)
    assert [type(condition) for condition in stops.conditions] == [StopFile, StopProbe, ErrorBudget]
    stops.spend(2)
    stops.spend(2)
    assert stops.conditions[-1].check() == "the error budget is burnt: 4 operations not served, 3 allowed"


def test_the_watch_acts_once_with_the_first_reason(tmp_path: Path) -> None:
    stop = Stop()
    acted: list[str] = []
    watch = StopWatch(stop, [StopFile(tmp_path / "STOP")], acted.append)
    watch.start()
    assert stop.heeded
    began = time.monotonic()
    (tmp_path / "STOP").touch()
    wait_until("the watch to act", lambda: None if acted else "not yet", limit=5, every=0.01)
    assert time.monotonic() - began < 2
    stop.request("too late")
    watch.stop()
    assert acted == [f"{tmp_path / 'STOP'} is there"]
    assert stop.reason == acted[0]
    assert not stop.heeded


def test_a_watch_that_is_over_acts_no_more(tmp_path: Path) -> None:
    stop = Stop()
    acted: list[str] = []
    watch = StopWatch(stop, [], acted.append)
    watch.start()
    watch.stop()
    stop.request("late")
    assert acted == []


def test_waits_end_when_the_run_is_to_stop() -> None:
    stop = Stop()
    stop.wait(0)
    threading.Timer(0.05, stop.request, ("enough",)).start()
    began = time.monotonic()
    with pytest.raises(Stopped, match="enough"):
        stop.wait(30)
    assert time.monotonic() - began < 5


def test_an_injection_under_way_does_not_strike_after_the_halt() -> None:
    where, events = site(), []
    injector = Injector(
        where,
        lambda source, event, **_: events.append(event),
        Journal("r1"),
        reached=lambda step: injector.halt("STOP") if step == Step.PLANNED else None,
    )
    with pytest.raises(InjectionError, match="the run is to stop: STOP"):
        injector.inject(freeze("app-1"))
    assert where.platform.log == []
    assert (events, injector.in_force, Journal("r1").in_force()) == ([], [], [])


@pytest.mark.parametrize("fault", [freeze("app-1"), rolling_restart("app")], ids=lambda f: f.kind)
def test_an_injection_that_waits_is_given_up_at_the_halt(
    monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    class Never:
        def check(self, running: object, instance: str) -> str:
            return "it does not come back"

    where = site()
    where.stack = where.stack.with_instances(replace(where.stack.instance("app-1"), ready=Never()))
    where.platform.answer = lambda name, cmd: ExecResult(1 if cmd[0] == "pgrep" else 0, "")
    monkeypatch.setattr(where.platform, "pause", lambda name: None)
    monkeypatch.setattr(type(fault), "bite_limit", 30.0)
    injector = Injector(where, lambda *_, **__: None, Journal("r1"))
    halting = threading.Timer(0.2, injector.halt, ("STOP",))
    halting.start()
    began = time.monotonic()
    with pytest.raises((BiteError, InjectionError), match="stopped; last seen"):
        injector.inject(fault)
    assert time.monotonic() - began < 10
    halting.join(10)
    assert Journal("r1").in_force() == []


def test_a_probe_whose_body_drips_holds_nothing_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def drip(self: Answers) -> None:
        self.send_response(200)
        self.end_headers()
        while not over.wait(0.2):
            self.wfile.write(b".")

    monkeypatch.setattr(Answers, "do_GET", drip)
    threading.Timer(5, over.set).start()
    assert StopProbe(url).check() is None
    assert not over.is_set()
    over.set()


def test_a_halted_injector_has_undone_all_and_injects_nothing_more() -> None:
    where = site()
    injector = Injector(where, lambda *_, **__: None, Journal("r1"))
    injector.inject(freeze("app-1"))
    injector.halt("STOP")
    assert where.platform.state["bs-r1-app-1"] == "running"
    with pytest.raises(InjectionError, match="the run is to stop: STOP"):
        injector.inject(freeze("app-1"))
