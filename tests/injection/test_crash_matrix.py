"""kill -9 at every step of an injection, for every kind of fault, with and without a watchdog: nothing left.

`make test` runs a selection, `make crash-matrix` all of it. A decoy beside the stack, of the same image and
with a name like its neighbours', must live through all of it untouched.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blackstart.faults import REGISTRY, Fault
from blackstart.injection.heal import heal
from blackstart.injection.journal import Journal, Step
from blackstart.injection.lock import RunLock
from blackstart.injection.watchdog import watched
from blackstart.model.stack import Stack
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.launch import launch
from blackstart.platforms.waiting import wait_until
from blackstart.stack.images import ensure_images
from blackstart.stack.provision import down, reset, steady, up
from blackstart.stack.running import RunningStack
from tests.faults.catalogue import ELSEWHERE, LIKE, ON_SMALL, TRIED
from tests.injection.world import difference, snapshot

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WHOLE = bool(os.environ.get("BLACKSTART_CRASH_MATRIX"))
#: Kinds of which every step is tried each time: one undone through a sidecar, one through the engine.
ALL_STEPS = ("edge_latency", "freeze")
#: Of these also without the watchdog: before, amid and after the deed.
ORPHANED = (Step.ARMED, Step.STRIKING, Step.BITTEN)


def cases() -> list[Any]:
    """Stack, kind, step, and whether the watchdog dies too."""
    chosen = []
    for kind, step, fate in itertools.product(sorted(TRIED), Step, ("watched", "orphaned")):
        usual = step is Step.BITTEN and fate == "watched" and kind not in LIKE
        usual = usual or (kind in ALL_STEPS and (fate == "watched" or step in ORPHANED))
        if WHOLE or usual:
            chosen.append(pytest.param(TRIED[kind][0], kind, step, fate, id=f"{kind}-{step}-{fate}"))
    return chosen


def test_every_kind_of_fault_is_in_the_matrix_or_says_why_not() -> None:
    assert sorted({*TRIED, *ELSEWHERE}) == sorted(REGISTRY)
    assert not set(TRIED) & set(ELSEWHERE)
    assert set(LIKE) <= set(ON_SMALL)
    assert not set(LIKE.values()) - (set(ON_SMALL) - set(LIKE))


@pytest.fixture(scope="module")
def crashed(platform: DockerPlatform, request: pytest.FixtureRequest) -> Iterator[RunningStack]:
    """A stack of its own; a decoy beside it."""
    stack: Stack = request.param
    tags = ensure_images(stack.images(), progress=print)
    run_id = f"test-{secrets.token_hex(4)}"
    double = stack.instances[-1].name
    decoy = f"bs-{run_id}-{double}-copy"
    try:
        running = up(stack, run_id, platform, tags, print)
        steady(running, "30s", print)
        image = str(platform.inspect(running.container(double))["Config"]["Image"])
        launch(platform.client, image, decoy, labels={}, command=["sleep", "infinity"])
        before = _decoy(platform, decoy)
        yield running
        assert _decoy(platform, decoy) == before, "the decoy was touched"
        down(run_id, platform)
        assert _decoy(platform, decoy) == before, "the decoy was touched by the removal"
    finally:
        down(run_id, platform)
        platform.client.api.remove_container(decoy, v=True, force=True)


@pytest.mark.parametrize(("crashed", "kind", "step", "fate"), cases(), indirect=["crashed"])
def test_nothing_is_left(crashed: RunningStack, kind: str, step: Step, fate: str) -> None:
    before = snapshot(crashed)
    try:
        process = crash(crashed.run_id, TRIED[kind][1], step, fate)
        if fate == "watched":
            over("the watchdog leaves", lambda: not watched(crashed.run_id))
        else:
            over("the run is dead", lambda: not RunLock(crashed.run_id).held_elsewhere())
            assert heal(crashed.run_id, platform=crashed.platform).ok
        assert process.returncode == -9, f"it died where it was to die: {process.stderr[-500:]}"
        assert Journal(crashed.run_id).in_force() == []
        # A process that its supervisor brings back takes a moment to settle.
        wait_until("the stack to be as it was", lambda: difference(before, crashed), limit=15, every=0.2)
    except BaseException:
        reset(crashed, "30s")
        raise
    steady(crashed, "30s")


def over(what: str, check: Callable[[], bool]) -> None:
    """Wait until `check` holds."""
    wait_until(what, lambda: None if check() else "not yet", limit=30)


def crash(run_id: str, fault: Fault, step: Step, fate: str) -> subprocess.CompletedProcess[str]:
    """Run the process that dies; in a group of its own."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "tests.injection.crasher"),
            *(run_id, json.dumps(fault.to_dict()), step.value, fate),
        ],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
        check=False,
        timeout=60,
    )


def _decoy(platform: DockerPlatform, name: str) -> dict[str, Any]:
    told = platform.client.api.inspect_container(name)
    top = platform.client.api.top(name, ps_args="-eo pid,comm")
    limits = {k: told["HostConfig"][k] for k in ("CpuQuota", "NanoCpus", "Memory")}
    return {"id": told["Id"], "state": told["State"], "limits": limits, "processes": top["Processes"]}
