"""kill -9 at every step of an injection, for every kind of fault, with and without a watchdog: nothing left.

`make test` runs a selection, `make crash-matrix` all of it. A decoy beside the stack, of the same image and
with a name like its neighbours', must live through all of it untouched.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
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
from blackstart.platforms.waiting import wait_for, wait_until
from blackstart.stack.provision import steady
from blackstart.stack.running import RunningStack
from tests.faults.catalogue import ELSEWHERE, LIKE, ON_SMALL, TRIED
from tests.injection.world import difference, snapshot
from tests.stacks import brought_up

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WHOLE = bool(os.environ.get("BLACKSTART_CRASH_MATRIX"))
#: Kinds of which every step is tried each time: one undone through a sidecar, one through the engine.
ALL_STEPS = ("edge_latency", "freeze")
#: Of these also without the watchdog: before, amid and after the deed.
ORPHANED = (Step.ARMED, Step.STRIKING, Step.BITTEN)


def cases() -> list[Any]:
    """Kind, step, and whether the watchdog dies too; kinds of one stack together."""
    chosen = []
    kinds = sorted(TRIED, key=lambda kind: (TRIED[kind][0].name, kind))
    for kind, step, fate in itertools.product(kinds, Step, ("watched", "orphaned")):
        usual = step is Step.BITTEN and fate == "watched" and kind not in LIKE
        usual = usual or (kind in ALL_STEPS and (fate == "watched" or step in ORPHANED))
        if WHOLE or usual:
            chosen.append(pytest.param(kind, step, fate, id=f"{kind}-{step}-{fate}"))
    return chosen


def test_every_kind_of_fault_is_in_the_matrix_or_says_why_not() -> None:
    assert sorted({*TRIED, *ELSEWHERE}) == sorted(REGISTRY)
    assert not set(TRIED) & set(ELSEWHERE)
    assert set(LIKE) <= set(ON_SMALL)
    assert not set(LIKE.values()) - (set(ON_SMALL) - set(LIKE))


class Crashed:
    """One stack at a time, each with a decoy beside it, as long as cases ask for the same.

    No parametrized fixture: pytest makes those anew for every case, also with the same parameter.
    """

    def __init__(self, platform: DockerPlatform) -> None:
        self._platform = platform
        self._stack: Stack | None = None
        self._up = contextlib.ExitStack()
        self.running: RunningStack
        self.before: dict[str, Any]

    def on(self, stack: Stack) -> RunningStack:
        """The stack, up and steady; `before` is how it looked when it came up."""
        if stack is not self._stack:
            self.close()
            self.running = self._up.enter_context(_beside_a_decoy(stack, self._platform))
            self.before, self._stack = snapshot(self.running), stack
        return self.running

    def close(self) -> None:
        """Remove it; AssertionError if the decoy was touched."""
        self._stack = None
        self._up.close()


@contextlib.contextmanager
def _beside_a_decoy(stack: Stack, platform: DockerPlatform) -> Iterator[RunningStack]:
    with contextlib.ExitStack() as later:
        with brought_up(stack, platform) as running:
            double = running.container(stack.instances[-1].name)
            image = str(platform.inspect(double)["Config"]["Image"])
            decoy = f"{double}-copy"
            launch(platform.client, image, decoy, labels={}, command=["sleep", "infinity"])
            later.callback(platform.client.api.remove_container, decoy, v=True, force=True)
            before = wait_for("the decoy to sleep", lambda: _asleep(platform, decoy), limit=15)
            yield running
            assert _decoy(platform, decoy) == before, "the decoy was touched"
        assert _decoy(platform, decoy) == before, "the decoy was touched by the removal"


@pytest.fixture(scope="module")
def stacks(platform: DockerPlatform) -> Iterator[Crashed]:
    """The stack of the case before, if it is the same."""
    crashed = Crashed(platform)
    try:
        yield crashed
    finally:
        crashed.close()


@pytest.mark.parametrize(("kind", "step", "fate"), cases())
def test_nothing_is_left(stacks: Crashed, kind: str, step: Step, fate: str) -> None:
    crashed = stacks.on(TRIED[kind][0])
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
        wait_until(
            "the stack to be as it was", lambda: difference(stacks.before, crashed), limit=15, every=0.2
        )
    except BaseException:
        stacks.close()  # what is left of it is for nobody else
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


def _asleep(platform: DockerPlatform, name: str) -> dict[str, Any] | None:
    """The decoy once its init has become what it was to be."""
    told = _decoy(platform, name)
    return told if "sleep" in {command for _, command in told["processes"]} else None


def _decoy(platform: DockerPlatform, name: str) -> dict[str, Any]:
    told = platform.client.api.inspect_container(name)
    top = platform.client.api.top(name, ps_args="-eo pid,comm")
    limits = {k: told["HostConfig"][k] for k in ("CpuQuota", "NanoCpus", "Memory")}
    return {"id": told["Id"], "state": told["State"], "limits": limits, "processes": top["Processes"]}
