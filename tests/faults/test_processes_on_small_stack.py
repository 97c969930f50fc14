"""The faults on processes, containers and nodes, on real containers: felt, undone, and nothing is left."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from blackstart.faults import (
    Fault,
    clock_offset,
    cpu_hog,
    cpu_throttle,
    crash_loop,
    disk_full,
    edge_flapping,
    edge_latency,
    fds_exhausted,
    freeze,
    kill,
    node_kill,
    restart,
    rolling_restart,
    stop,
    suspend,
)
from blackstart.faults.base import Undo
from blackstart.injection.expiry import arm
from blackstart.injection.heal import heal
from blackstart.model.errors import BiteError, InjectionError
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack
from tests.faults.small import background, client, injected, ready_s, well

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def _mend(small: RunningStack) -> Iterator[None]:
    yield
    reset(small, "30s")


@pytest.mark.parametrize("target", ["web-1", "web[zone=b]", "store"])
def test_killed_containers_come_back(small: RunningStack, target: str) -> None:
    with injected(kill(target), small) as bite:
        assert "is down" in bite
    well(small)


def test_a_killed_process_is_gone_at_once(small: RunningStack) -> None:
    with injected(kill("store", process="redis-server"), small) as bite:
        assert "processes redis-server" in bite
    well(small)


def test_an_unknown_process_is_refused_with_those_that_run(small: RunningStack) -> None:
    with pytest.raises(InjectionError, match="redis-server"):
        kill("store", process="postgres").plan(small)


def test_a_frozen_container_goes_on(small: RunningStack) -> None:
    with injected(freeze("web"), small) as bite:
        assert "paused" in bite
        assert ready_s(small) is None
    well(small)


def test_a_container_that_is_stopped_ends_in_order_and_comes_back(small: RunningStack) -> None:
    with injected(stop("store"), small) as bite:
        assert bite == f"{small.container('store-1')} ended with 0", "Redis saved and said goodbye"
        assert ready_s(small) is None
    well(small)


def test_what_does_not_end_in_time_is_killed(small: RunningStack) -> None:
    with (
        injected(suspend("store", "redis-server"), small),
        injected(stop("store", timeout="1s"), small) as bite,
    ):
        assert "had to be killed after 1.00 s" in bite
    well(small)


RUN = r"""
s = store(); s.sendall(b"INFO server\r\n")
print(json.dumps(next(l for l in s.recv(65536).decode().splitlines() if l.startswith("run_id"))))
"""


def test_a_restart_gives_another_life_and_that_is_its_end(small: RunningStack) -> None:
    before = client(small, RUN)
    with injected(restart("store"), small) as bite:
        assert "started anew" in bite
        well(small)
        assert client(small, RUN) != before


def test_one_process_is_stopped_and_the_others_of_its_container_go_on(small: RunningStack) -> None:
    live = small.url("web-1", "http", "/health/live")
    with injected(suspend("web-1", "web"), small) as bite:
        assert bite == f"1 processes web of {small.container('web-1')} stopped"
        with pytest.raises(requests.Timeout):
            requests.get(live, timeout=1)
        assert client(small, RUN), "another process beside it reaches the store"
        assert ready_s(small, "web-2") is not None
        with pytest.raises(InjectionError, match="stopped already"):
            suspend("web-1", "web").plan(small)
    assert requests.get(live, timeout=3).status_code == 200
    with pytest.raises(InjectionError, match=r"'tini' is PID 1 .*freeze the container instead"):
        suspend("web-1", "tini").plan(small)


def test_a_stopped_process_that_nobody_lets_go_on_does_so_by_itself(small: RunningStack) -> None:
    fault = suspend("web-1", "web")
    undo = Undo.from_dict(json.loads(json.dumps(fault.plan(small).to_dict())))
    arm(undo, small.platform, 1.0)
    fault.inject(small, undo)
    assert "still stopped" in str(type(fault).undone(undo, small.platform))
    wait_until("it ends by itself", lambda: type(fault).undone(undo, small.platform), limit=5)
    well(small)


#: Brings a Redis of its own up again whenever it is gone.
SUPERVISOR = """exec >/dev/null 2>&1
while :; do redis-server --port 7777 --bind 127.0.0.1 --save ''; sleep 0.05; done"""
#: For so many seconds: the pids it is seen under.
PIDS = r"""
import subprocess
pids, until = set(), time.monotonic() + %s
while time.monotonic() < until:
    pids |= set(subprocess.run(["pgrep", "-x", "redis-server"], stdout=-1, text=True).stdout.split())
    time.sleep(0.02)
print(json.dumps(len(pids)))
"""


@pytest.mark.parametrize(
    "fault", [stop("web-1"), restart("web-1"), rolling_restart("web-1")], ids=lambda f: f.kind
)
def test_what_still_drains_when_its_harness_dies_is_up_afterwards(
    small: RunningStack, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    def die(name: str, timeout_s: float) -> None:
        small.platform.client.containers.get(name).kill(signal="SIGTERM")
        raise KeyboardInterrupt

    name, kind = small.container("web-1"), type(fault)
    undo = Undo.from_dict(json.loads(json.dumps(fault.plan(small).to_dict())))
    small.platform.signal_process(name, "web", "STOP")  # for as long as it is to drain
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(small.platform, "stop", die)
        fault.inject(small, undo)
    for _ in range(2):
        kind.undo(undo, small.platform)
    assert kind.undone(undo, small.platform) is None
    life = small.platform.started(name)
    small.platform.signal_process(name, "web", "CONT")
    well(small)
    assert small.platform.started(name) == life, "nothing ends it any more"


@pytest.mark.parametrize(
    "fault",
    [cpu_hog("web-1"), clock_offset("web-1"), fds_exhausted("web-1", "web")],
    ids=lambda f: f.kind,
)
def test_a_target_that_dies_of_its_fault_is_up_after_the_undo(small: RunningStack, fault: Fault) -> None:
    kind = type(fault)
    undo = fault.plan(small)
    fault.inject(small, undo)
    small.platform.kill(small.container("web-1"))
    kind.undo(undo, small.platform)
    wait_until("undone", lambda: kind.undone(undo, small.platform), limit=fault.grace)
    well(small)


def test_a_run_without_a_journal_is_healed_of_what_helpers_would_end_later(small: RunningStack) -> None:
    faults: list[Fault] = [
        clock_offset("web-1"),
        disk_full("store"),
        fds_exhausted("web-2", "web"),
        cpu_throttle("web-2"),
        edge_latency("web-1", "store-1", latency="200ms"),
    ]
    plans = [fault.plan(small) for fault in faults]
    for fault, undo in zip(faults, plans, strict=True):
        arm(undo, small.platform, 60)
        fault.inject(small, undo)
    report = heal(small.run_id, platform=small.platform)
    assert report.ok
    for fault, undo in zip(faults, plans, strict=True):
        assert type(fault).undone(undo, small.platform) is None, fault.kind
    assert f"run {small.run_id}: ended what 1 helpers in {small.keeper} were to end later" in report.lines
    well(small)
    well(small, "web-2")


@pytest.fixture
def supervised(small: RunningStack) -> Iterator[None]:
    """A supervised Redis beside web-1."""
    with background(small, "web-1", ["sh", "-c", SUPERVISOR]):
        name = small.container("web-1")
        wait_until("it is up", lambda: None if small.platform.pids(name, "redis-server") else "no", limit=5)
        yield
    small.platform.exec(name, ["pkill", "-KILL", "-f", "port [7]777"])
    small.platform.signal_process(name, "redis-server", "KILL")


@pytest.mark.usefixtures("supervised")
def test_a_process_dies_again_each_time_it_is_brought_back(small: RunningStack) -> None:
    with injected(crash_loop("web-1", "redis-server", interval="300ms"), small) as bite:
        assert "killed when they come back" in bite
        assert client(small, PIDS % 2) >= 3
        assert ready_s(small) is not None, "the service beside it goes on"
    assert client(small, PIDS % 0.8) == 1
    fault = crash_loop("web-1", "redis-server", max_duration="1s")
    undo = fault.plan(small)
    fault.inject(small, undo)
    wait_until("it ends by itself", lambda: type(fault).undone(undo, small.platform), limit=5)


def test_a_container_that_ends_with_its_process_is_no_crash_loop(small: RunningStack) -> None:
    with (
        pytest.raises(BiteError, match="ended with its process redis-server"),
        injected(crash_loop("store", "redis-server"), small),
    ):
        raise AssertionError("unreachable")
    well(small)


#: Waits for the end of a connection to web-1 on which nothing is said.
WAIT = r"""
s = socket.create_connection(("web-1.net", 8080), timeout=6); print("open", flush=True)
print(json.dumps(end(s)))
"""


def test_a_node_is_gone_without_a_word_and_comes_back_with_its_edges(small: RunningStack) -> None:
    edges = set(small.toxiproxy("web-1").proxies())
    with background(small, "web-2", WAIT) as said:
        assert next(said) == b"open\n"
        with injected(node_kill("web-1"), small) as bite:
            assert bite == f"down: {small.sidecar('web-1')}, {small.container('web-1')}"
            with pytest.raises(requests.ConnectionError):
                requests.get(small.url("web-1", "http", "/health/live"), timeout=3)
            assert json.loads(next(said)) == [0, "TimeoutError"], "neither closed nor reset"
            assert ready_s(small, "web-2") is not None
    assert set(small.toxiproxy("web-1").proxies()) == edges
    well(small)


def test_a_run_without_a_journal_is_healed_of_what_is_in_its_containers(small: RunningStack) -> None:
    for fault in (suspend("web-1", "web"), cpu_hog("web-1"), edge_flapping("web-2", "store", down="5s")):
        fault.inject(small, fault.plan(small))
    wait_until("the edge is down", lambda: None if ready_s(small, "web-2") is None else "up", limit=5)
    report = heal(small.run_id, platform=small.platform)
    assert report.ok
    assert set(report.lines) == {
        f"run {small.run_id}: let go on: web of {small.container('web-1')}",
        f"run {small.run_id}: every edge as new: {small.sidecar('web-2')}",
    }
    well(small)
    well(small, "web-2")
    for container in (small.sidecar("web-2"), small.container("web-1")):
        listed = small.platform.exec(container, ["pgrep", "-f", "[b]lackstart-helper"])
        assert listed.code == 1, f"a helper is left in {container}"
