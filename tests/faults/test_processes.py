"""Stop, restart, suspend, crash loop and node kill on a platform in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import pytest

from blackstart.faults import Fault, Undo, crash_loop, freeze, kill, node_kill, restart, stop, suspend
from blackstart.faults.node_kill import NodeKill
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.platforms.capabilities import ExecResult
from blackstart.toxiproxy.client import PROXY_API_PORT
from tests.faults.fakes import FakeSite, site, stack
from tests.toxiproxy.memory import ToxiproxyInMemory

APP, NET = "bs-r1-app-1", "bs-r1-app-1-net"


@pytest.mark.parametrize(
    ("code", "said"), [(0, "ended with 0"), (143, "ended with 143"), (137, "had to be killed after 3.00 s")]
)
def test_a_stop_tells_an_orderly_end_from_a_kill(code: int, said: str) -> None:
    where, fault = site(), stop("app-1", timeout="3s")
    where.platform.code = code
    undo = fault.plan(where)
    with pytest.raises(BiteError, match="still runs"):
        fault.bite(where, undo)
    fault.inject(where, undo)
    assert fault.bite(where, undo) == f"{APP} {said}"
    assert type(fault).undone(undo, where.platform) == f"down: {APP}"
    for _ in range(2):
        type(fault).undo(undo, where.platform)
    assert type(fault).undone(undo, where.platform) is None


@pytest.mark.parametrize("fault", [stop("app"), restart("app"), node_kill("app"), suspend("app", "web")])
@pytest.mark.parametrize("state", ["exited", "paused"])
def test_what_is_down_or_frozen_is_refused(fault: Fault, state: str) -> None:
    where = site()
    where.platform.state[APP] = state
    with pytest.raises(InjectionError, match="down or frozen already"):
        fault.plan(where)
    assert where.platform.log == []


def test_a_restart_bites_once_each_is_in_another_life() -> None:
    where, fault = site(), restart("postgres")
    undo = fault.plan(where)
    where.platform.kill("bs-r1-pg-1")
    where.platform.start("bs-r1-pg-1")
    with pytest.raises(BiteError, match="bs-r1-pg-2 is still in the life of"):
        fault.bite(where, undo)
    fault.inject(where, undo)
    assert fault.bite(where, undo) == "started anew: bs-r1-pg-1, bs-r1-pg-2"
    assert type(fault).undone(undo, where.platform) is None
    where.platform.kill("bs-r1-pg-2")
    type(fault).undo(undo, where.platform)
    assert type(fault).undone(undo, where.platform) is None


@pytest.mark.parametrize("make", [stop, restart])
def test_what_was_told_to_end_and_has_not_is_killed_and_started(make: Callable[..., Fault]) -> None:
    where, fault = site(), make("postgres", timeout="3s")
    undo = Undo.from_dict(json.loads(json.dumps(fault.plan(where).to_dict())))
    where.platform.stop("bs-r1-pg-2", 1)
    where.platform.start("bs-r1-pg-2")
    assert type(fault).undone(undo, where.platform) == "about to end: bs-r1-pg-1"
    for _ in range(2):
        type(fault).undo(undo, where.platform)
    exits = [line for line in where.platform.log if line.startswith("exited")]
    assert exits == ["exited bs-r1-pg-2", "exited bs-r1-pg-1"], "the one in a new life is left alone"
    assert type(fault).undone(undo, where.platform) is None
    with pytest.raises(ConfigError, match="timeout '2m' is not below max_duration '120s'"):
        make("app-1", timeout="2m")


GONE: list[tuple[Fault, Sequence[str]]] = [
    (freeze("postgres"), ["running bs-r1-pg-2"]),
    (stop("postgres"), ["running bs-r1-pg-2"]),
    (kill("postgres"), ["running bs-r1-pg-2"]),
    (suspend("postgres", "patroni"), ["CONT patroni bs-r1-pg-2"]),
]


@pytest.mark.parametrize(("fault", "undone"), GONE, ids=lambda v: getattr(v, "kind", ""))
def test_a_target_that_is_gone_does_not_keep_the_others_in_force(fault: Fault, undone: list[str]) -> None:
    where = site()
    where.platform.answer = stopped()
    undo = fault.plan(where)
    fault.inject(where, undo)
    del where.platform.state["bs-r1-pg-1"]
    where.platform.log.clear()
    with pytest.raises(PlatformError, match="cannot find bs-r1-pg-1"):
        type(fault).undo(undo, where.platform)
    assert where.platform.log[-1:] == undone


def stopped(*pids: int) -> Callable[[str, Sequence[str]], ExecResult]:
    """Answers which processes are stopped."""
    return lambda name, cmd: ExecResult(0 if pids else 1, "\n".join(map(str, pids)))


def test_one_process_that_goes_on_is_no_suspension() -> None:
    where, fault = site(), suspend("pg-1", "postgres")
    where.platform.supervised.clear()
    where.platform.answer = stopped()
    undo = fault.plan(where)
    where.platform.answer = stopped(20, 21)
    with pytest.raises(BiteError, match=r"goes on in bs-r1-pg-1: pids \[22\]"):
        fault.bite(where, undo)
    assert "still stopped: pids [20, 21]" in str(type(fault).undone(undo, where.platform))
    where.platform.answer = stopped(20, 21, 22)
    assert fault.bite(where, undo) == "3 processes postgres of bs-r1-pg-1 stopped"
    with pytest.raises(InjectionError, match="stopped already"):
        fault.plan(where)
    type(fault).undo(undo, where.platform)
    assert where.platform.log[-1] == "CONT postgres bs-r1-pg-1"
    type(fault).escalate(undo, where.platform)
    assert where.platform.log[-2:] == ["exited bs-r1-pg-1", "running bs-r1-pg-1"]
    assert undo.expiry == {"bs-r1-pg-1": ["pkill", "-CONT", "-x", "--", "postgres"]}


@pytest.mark.parametrize("make", [suspend, crash_loop])
def test_pid_1_and_unknown_processes_are_refused(make: Callable[[str, str], Fault]) -> None:
    with pytest.raises(InjectionError, match=r"'tini' is PID 1 of bs-r1-pg-1; .* instead"):
        make("pg-1", "tini").plan(site())
    with pytest.raises(InjectionError, match="no process 'redis'; it has: patroni, postgres, tini"):
        make("pg-1", "redis").plan(site())


def test_a_process_that_does_not_come_back_after_a_crash_loop_takes_a_restart() -> None:
    where, fault = site(), crash_loop("pg-1", "postgres")
    undo = fault.plan(where)
    where.platform.processes["bs-r1-pg-1"]["postgres"] = []
    where.platform.answer = lambda name, cmd: ExecResult(1 if cmd[0] == "pgrep" else 0, "")
    type(fault).undo(undo, where.platform)
    assert type(fault).undone(undo, where.platform) == "postgres is not back in bs-r1-pg-1"
    type(fault).escalate(undo, where.platform)
    assert where.platform.log == ["exited bs-r1-pg-1", "running bs-r1-pg-1"]
    assert type(fault).undone(undo, where.platform) is None


@pytest.fixture
def server() -> Iterator[ToxiproxyInMemory]:
    with ToxiproxyInMemory({}) as running:
        yield running


@pytest.fixture
def where(server: ToxiproxyInMemory) -> FakeSite:
    made = site()
    made.platform.host_ports = {PROXY_API_PORT: server.port}
    return made


def test_a_node_comes_back_with_its_edges_from_the_record_alone(
    where: FakeSite, server: ToxiproxyInMemory
) -> None:
    fault = node_kill("app-1")
    undo = Undo.from_dict(json.loads(json.dumps(fault.plan(where).to_dict())))
    assert undo.targets == (NET, APP)
    where.platform.answer = lambda name, cmd: ExecResult(0, "net:[1]")
    fault.inject(where, undo)
    assert fault.bite(where, undo) == f"down: {NET}, {APP}"
    assert type(fault).undone(undo, where.platform) == f"{NET} is down"
    server.proxies.clear()
    where.platform.log.clear()
    for _ in range(2):
        type(fault).undo(undo, where.platform)
    assert where.platform.log == [f"running {NET}", f"running {APP}"]
    edges = {e.name: e.proxy for e in stack().edges if e.source == "app-1"}
    assert {n: {k: p[k] for k in edges[n]} for n, p in server.proxies.items()} == edges
    assert type(fault).undone(undo, where.platform) is None
    server.proxies.popitem()
    assert "lacks the edges to pg-2:8008" in str(type(fault).undone(undo, where.platform))


def test_a_service_in_the_network_of_its_sidecars_former_life_is_started_anew(where: FakeSite) -> None:
    undo = node_kill("app-1").plan(where)
    where.platform.answer = lambda name, cmd: ExecResult(0, f"net:[{name}]")
    NodeKill.undo(undo, where.platform)
    assert where.platform.log == [f"exited {APP}", f"running {APP}"]
    assert "former life" in str(NodeKill.undone(undo, where.platform))


def test_a_network_that_cannot_be_muted_lets_nothing_be_killed(where: FakeSite) -> None:
    fault = node_kill("app-1")
    undo = fault.plan(where)
    where.platform.answer = lambda name, cmd: ExecResult(1, "no nft")
    with pytest.raises(PlatformError, match="not muted: no nft"):
        fault.inject(where, undo)
    assert where.platform.log == []
