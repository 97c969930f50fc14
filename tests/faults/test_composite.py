"""Faults that strike many instances: a zone at once, a service one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from blackstart.faults import rolling_restart, zone_lost
from blackstart.model.errors import ConfigError, InjectionError
from blackstart.platforms.capabilities import ExecResult
from blackstart.platforms.waiting import wait_until
from blackstart.stack.conditions import HttpReady
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack
from tests.faults.fakes import site, stack
from tests.faults.force import in_force


@pytest.fixture
def mended(small: RunningStack) -> Iterator[RunningStack]:
    """The small stack; as new again afterwards."""
    yield small
    reset(small, "30s")


def ready(running: RunningStack, instance: str) -> str | None:
    """None if a client of the instance gets its answer."""
    try:
        answer = requests.get(running.url(instance, "http", "/health/ready"), timeout=1)
    except requests.RequestException as error:
        return str(error)
    return None if answer.status_code == 200 else answer.text


def test_a_zone_that_the_stack_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigError, match="no zone 'z'; its zones: a, b"):
        zone_lost("z").validate(stack())
    zone_lost("b").validate(stack())
    one = replace(stack(), instances=(stack().instance("pg-1"),))
    with pytest.raises(ConfigError, match="no other zone than 'a'"):
        zone_lost("a").validate(one)


def test_a_zone_that_is_half_down_is_not_lost_by_us() -> None:
    where = site()
    where.apis = {"pg-2": "http://127.0.0.1:1"}
    where.platform.kill("bs-r1-pg-2-net")
    with pytest.raises(InjectionError, match="bs-r1-pg-2-net is down"):
        zone_lost("b").plan(where)


def test_services_freeze_before_their_sidecars_and_go_on_after_them() -> None:
    where = site()
    where.apis = {"pg-2": "http://127.0.0.1:1"}
    undo = zone_lost("b").plan(where)
    assert undo.targets == ("bs-r1-pg-2", "bs-r1-pg-2-net")
    zone_lost("b").inject(where, undo)
    zone_lost("b").undo(undo, where.platform)
    assert where.platform.log[-2:] == ["running bs-r1-pg-2-net", "running bs-r1-pg-2"]


def test_a_restart_that_goes_wrong_ends_there_and_is_undone_by_a_start() -> None:
    class Never:
        def check(self, running: object, instance: str) -> str:
            return "it does not come back"

    where = site()
    where.platform.answer = lambda name, cmd: ExecResult(1 if cmd[0] == "pgrep" else 0, "")
    one = replace(where.stack.instance("pg-1"), ready=Never())
    where.stack = where.stack.with_instances(one)
    fault = rolling_restart("postgres", ready_within="50ms")
    undo = fault.plan(where)
    with pytest.raises(InjectionError, match=r"(?s)pg-1 to be ready.*does not come back"):
        fault.inject(where, undo)
    assert not [line for line in where.platform.log if "pg-2" in line], "the next one is left alone"
    where.platform.stop("bs-r1-pg-1", 1.0)
    assert fault.undone(undo, where.platform) == "down: bs-r1-pg-1"
    fault.undo(undo, where.platform)
    assert fault.undone(undo, where.platform) is None


def test_an_instance_that_was_told_to_end_and_has_not_is_started_anew_and_no_other() -> None:
    where, ending = site(), {"bs-r1-pg-2"}
    where.platform.answer = lambda name, cmd: ExecResult(0 if name in ending else 1, "")
    fault = rolling_restart("postgres")
    undo = fault.plan(where)
    assert fault.undone(undo, where.platform) == "about to end: bs-r1-pg-2"
    kill = where.platform.kill

    def end(name: str) -> None:
        kill(name)
        ending.discard(name)

    where.platform.kill = end  # type: ignore[method-assign]
    for _ in range(2):
        fault.undo(undo, where.platform)
    assert [line for line in where.platform.log if line.startswith("exited")] == ["exited bs-r1-pg-2"]
    assert fault.undone(undo, where.platform) is None


def test_a_rolling_restart_that_may_outlast_its_time_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"2 instances may take .*raise that, or shorten patience"):
        rolling_restart("postgres", patience="40s").plan(site())
    rolling_restart("postgres", patience="40s", max_duration="121s").plan(site())


@pytest.mark.integration
def test_of_a_lost_zone_nothing_answers_and_the_other_does(mended: RunningStack) -> None:
    with in_force(zone_lost("b"), mended) as bite:
        assert bite == "no answer from web-2"
        assert "timed out" in str(ready(mended, "web-2"))
        assert ready(mended, "web-1") is None
    wait_until("web-2 answers", lambda: ready(mended, "web-2"), limit=5)


@pytest.mark.integration
def test_in_a_rolling_restart_one_of_the_instances_always_answers(mended: RunningStack) -> None:
    fault = rolling_restart("web", patience="1s")
    undo = fault.plan(mended)
    done, seen = threading.Event(), []

    def watch() -> None:
        while not done.is_set():
            seen.append([ready(mended, "web-1") is None, ready(mended, "web-2") is None])

    watching = threading.Thread(target=watch)
    watching.start()
    began = time.monotonic()
    try:
        fault.inject(mended, undo)
    finally:
        done.set()
        watching.join()
    assert time.monotonic() - began < 30
    assert fault.bite(mended, undo) == "restarted in turn: web-1, web-2"
    assert [False, True] in seen
    assert [True, False] in seen
    assert [False, False] not in seen
    assert isinstance(mended.stack.instance("web-1").ready, HttpReady)
    assert type(fault).undone(undo, mended.platform) is None
