"""kill -9 of the test process during faults: none in force after 5 s, no container after 30 s."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blackstart.faults import Fault, edge_down, edge_latency, freeze, kill
from blackstart.injection.heal import heal
from blackstart.injection.injector import Injector
from blackstart.injection.journal import Journal
from blackstart.injection.lock import RunLock
from blackstart.injection.state import runs, state_dir
from blackstart.injection.watchdog import Watchdog, watched
from blackstart.model.errors import InjectionError, PlatformError
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.waiting import wait_until
from blackstart.stack.images import ensure_images
from blackstart.stack.provision import down, reset, up
from blackstart.stack.running import RunningStack
from tests import smallstack

pytestmark = pytest.mark.integration

FAULTS: tuple[Fault, ...] = (
    kill("web-1"),
    freeze("web-2"),
    edge_down("web-1", "store-1"),
    edge_latency("web-2", "store-1", latency="200ms"),
)


def victim(run_id: str, remove: str, *faults: Fault) -> subprocess.Popen[str]:
    """A watched process that has injected `faults` into the run; in a group of its own, to be killed."""
    argv = [sys.executable, "-m", "tests.injection.victim", run_id, remove]
    process = subprocess.Popen(
        [*argv, json.dumps([f.to_dict() for f in faults])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        pytest.fail(f"the victim did not start: {process.communicate()[1]}")
    return process


def kill_nine(process: subprocess.Popen[str]) -> float:
    """SIGKILL its whole process group; returns when that was."""
    at = time.monotonic()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return at


@pytest.fixture
def mended(small: RunningStack) -> Iterator[RunningStack]:
    """The small stack; as new again afterwards."""
    yield small
    heal(small.run_id, platform=small.platform)
    reset(small, "30s")


def wrong_with(small: RunningStack) -> str | None:
    """What of FAULTS is still in force."""
    for name in ("web-1", "web-2"):
        container = small.container(name)
        if not small.platform.is_running(container) or small.platform.is_paused(container):
            return f"{container} is down or frozen"
        if any(not p.enabled or p.toxics() for p in small.toxiproxy(name).proxies().values()):
            return f"an edge of {name} is not restored"
    return None


def test_no_fault_is_in_force_five_seconds_after_kill_nine(mended: RunningStack) -> None:
    process = victim(mended.run_id, "keep", *FAULTS)
    assert wrong_with(mended)
    assert len(Journal(mended.run_id).in_force()) == len(FAULTS)
    at = kill_nine(process)
    wait_until("every fault undone", lambda: wrong_with(mended), limit=10)
    took_s = time.monotonic() - at
    print(f"faults undone {took_s:.2f} s after kill -9")
    assert took_s < 5
    over(lambda: not watched(mended.run_id), "the watchdog leaves")
    assert Journal(mended.run_id).in_force() == []


def test_no_container_is_left_thirty_seconds_after_kill_nine(platform: DockerPlatform) -> None:
    tags = ensure_images(smallstack.stack.images(), progress=print)
    run_id = f"test-{secrets.token_hex(4)}"
    try:
        up(smallstack.stack, run_id, platform, tags, print)
        process = victim(run_id, "remove", freeze("web-1"), edge_down("web-2", "store-1"))
        at = kill_nine(process)
        over(lambda: run_id not in platform.runs(), "containers, network and volumes gone")
        print(f"everything removed {time.monotonic() - at:.2f} s after kill -9")
        over(lambda: run_id not in runs(), "its folder is gone")
        assert time.monotonic() - at < 30
    finally:
        down(run_id, platform)


def test_heal_does_it_when_even_the_watchdog_was_killed(mended: RunningStack) -> None:
    process = victim(mended.run_id, "keep", *FAULTS)
    holder = json.loads((state_dir(mended.run_id) / "watchdog.lock").read_text())["pid"]
    os.kill(holder, signal.SIGKILL)
    kill_nine(process)
    over(lambda: not RunLock(mended.run_id).held_elsewhere(), "the run is dead")
    assert wrong_with(mended)
    report = heal(platform=mended.platform)
    assert report.ok
    assert len(report.lines) == len(FAULTS)
    assert wrong_with(mended) is None


def test_without_its_watchdog_a_run_injects_nothing(mended: RunningStack) -> None:
    watchdog = Watchdog.start(mended.run_id, remove_stack=False)
    injector = Injector(mended, lambda *_, **__: None, Journal(mended.run_id))
    try:
        injector.inject(freeze("web-1")).undo()
        os.kill(watchdog.pid, signal.SIGKILL)
        over(lambda: not watched(mended.run_id), "the watchdog is dead")
        with pytest.raises(InjectionError, match="watchdog"):
            injector.inject(freeze("web-1"))
    finally:
        with pytest.raises(PlatformError, match="is not cleaned up"):
            watchdog.done()
    assert wrong_with(mended) is None


def test_a_run_that_is_done_leaves_nothing_even_if_it_forgot(mended: RunningStack) -> None:
    with Watchdog.start(mended.run_id, remove_stack=False):
        plan = freeze("web-1").plan(mended)
        Journal(mended.run_id).record(freeze("web-1").to_dict(), plan)
        freeze("web-1").inject(mended, plan)
    assert wrong_with(mended) is None


def test_a_fault_that_the_test_process_left_overdue_is_undone_by_the_watchdog(
    mended: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Watchdog.start(mended.run_id, remove_stack=False):
        fault = freeze("web-1", max_duration="1ms")
        plan = fault.plan(mended)
        Journal(mended.run_id).record(fault.to_dict(), plan)
        fault.inject(mended, plan)
        over(lambda: not Journal(mended.run_id).in_force(), "the watchdog steps in")
        assert wrong_with(mended) is None


def test_signals_do_not_end_the_watchdog(mended: RunningStack) -> None:
    with Watchdog.start(mended.run_id, remove_stack=False) as watchdog:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(watchdog.pid, number)
        assert os.getsid(watchdog.pid) != os.getsid(0)
        assert watched(mended.run_id)


def over(check: Callable[[], bool], what: str) -> None:
    """Wait until `check` holds."""
    wait_until(what, lambda: None if check() else "not yet", limit=30)
