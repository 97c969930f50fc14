"""The helper at the place of a fault: it ends the fault if nobody else does, and goes once it is undone."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from blackstart.faults import Fault, Undo, edge_down, edge_latency, edge_timeout, freeze
from blackstart.injection.expiry import arm, disarm
from blackstart.injection.injector import Injector
from blackstart.injection.journal import Journal
from blackstart.model.errors import PlatformError
from blackstart.platforms.capabilities import ExecResult
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack
from tests.faults.fakes import site

SIDECAR = "bs-r1-app-1-net"
PLAN = Undo("edge_down", "r1", (SIDECAR,), expiry={SIDECAR: ["true"]})


def test_a_helper_that_does_not_start_lets_nothing_be_injected() -> None:
    where = site()
    where.platform.answer = lambda name, cmd: ExecResult(126, "sh: not found")
    with pytest.raises(PlatformError, match=r"bs-r1-app-1-net: sh: not found"):
        arm(PLAN, where.platform, 1)


def test_a_container_that_is_down_has_no_helper_to_end() -> None:
    where = site()
    where.platform.answer = lambda name, cmd: ExecResult(1, "asked")
    where.platform.kill(SIDECAR)
    disarm(PLAN, where.platform)


@pytest.fixture
def mended(small: RunningStack) -> Iterator[RunningStack]:
    """The small stack; as new again afterwards."""
    yield small
    reset(small, "30s")


def helpers(small: RunningStack, instance: str) -> list[str]:
    """Command lines of the helpers in the sidecar of `instance`."""
    listed = small.platform.exec(small.sidecar(instance), ["ps", "-eo", "args="]).output
    return [line for line in listed.splitlines() if "blackstart-expiry" in line and not line.startswith("ps")]


@pytest.mark.integration
@pytest.mark.parametrize(
    "fault",
    [
        edge_down("web-1", "store-1"),
        edge_latency("web-1", "store-1", latency="300ms"),
        edge_timeout("web", "store-1", direction="upstream"),
    ],
    ids=lambda f: f.kind,
)
def test_a_fault_that_nobody_undoes_ends_in_place(mended: RunningStack, fault: Fault) -> None:
    assert fault.expires_in_place
    undo = Undo.from_dict(fault.plan(mended).to_dict())
    arm(undo, mended.platform, 1.5)
    fault.inject(mended, undo)
    fault.bite(mended, undo)
    assert type(fault).undone(undo, mended.platform) is not None
    assert helpers(mended, "web-1")
    wait_until(f"{fault.kind} ends by itself", lambda: type(fault).undone(undo, mended.platform), limit=10)
    wait_until("the helper is gone", lambda: "\n".join(helpers(mended, "web-1")) or None, limit=5)


@pytest.mark.integration
def test_an_undone_fault_leaves_no_helper(mended: RunningStack) -> None:
    injector = Injector(mended, lambda *_, **__: None, Journal(mended.run_id))
    one = injector.inject(edge_latency("web-1", "store-1", latency="20ms"))
    two = injector.inject(edge_down("web-2", "store-1"))
    assert len(helpers(mended, "web-1")) == len(helpers(mended, "web-2")) == 1
    one.undo()
    assert helpers(mended, "web-1") == []
    assert len(helpers(mended, "web-2")) == 1, "each ends its own"
    two.undo()
    assert helpers(mended, "web-2") == []
    sleeping = mended.platform.pids(mended.sidecar("web-1"), "sleep")
    assert sleeping == [], "nor its sleep"


@pytest.mark.integration
def test_of_two_faults_in_one_place_only_that_one_is_ended(mended: RunningStack) -> None:
    sidecar = mended.sidecar("web-1")
    plans = [
        Undo("edge_down", mended.run_id, (sidecar,), expiry={sidecar: ["true"]}, id=secrets.token_hex(4))
        for _ in range(2)
    ]
    for plan in plans:
        arm(plan, mended.platform, 60)
    disarm(plans[0], mended.platform)
    assert [plans[1].id in line for line in helpers(mended, "web-1")] == [True]
    disarm(plans[1], mended.platform)
    disarm(plans[1], mended.platform)
    assert helpers(mended, "web-1") == []


def test_what_cannot_hold_a_helper_says_so() -> None:
    assert not freeze("app-1").expires_in_place
    assert freeze("app-1").plan(site()).expiry == {}
