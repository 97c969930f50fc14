"""Heal undoes what dead runs left, from the journal alone, and leaves live ones alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from blackstart.faults import (
    Fault,
    cpu_throttle,
    edge_down,
    edge_latency,
    freeze,
    kill,
    partition,
    zone_lost,
)
from blackstart.injection.heal import heal
from blackstart.injection.journal import Journal
from blackstart.injection.lock import RunLock
from blackstart.injection.state import RunRecord, boot_id, runs, state_dir
from blackstart.injection.undoing import goes_first
from blackstart.injection.watchdog import Watchdog
from blackstart.model.errors import LockHeld
from blackstart.platforms.capabilities import left
from blackstart.toxiproxy.client import PROXY_API_PORT
from tests.faults.fakes import FakePlatform, FakeSite, site, stack
from tests.toxiproxy.memory import ToxiproxyInMemory


@pytest.fixture
def server() -> Iterator[ToxiproxyInMemory]:
    listens = {e.name: e.proxy["listen"] for e in stack().edges if e.source == "app-1"}
    with ToxiproxyInMemory(listens) as running:
        yield running


@pytest.fixture
def where(server: ToxiproxyInMemory) -> FakeSite:
    made = site()
    made.apis["app-1"] = server.url
    made.platform.host_ports = {PROXY_API_PORT: server.port}
    return made


def leave(where: FakeSite, *faults: Fault) -> None:
    """What a run leaves that was killed right after its injections."""
    for fault in faults:
        plan = fault.plan(where)
        Journal(where.run_id).record(fault.to_dict(), plan)
        fault.inject(where, plan)


@pytest.mark.parametrize("mode", [503, 0], ids=["answers 503", "hangs"])
def test_a_proxy_out_of_order_does_not_keep_the_others_in_force(
    where: FakeSite, server: ToxiproxyInMemory, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    leave(where, freeze("pg-2"), edge_down("app-1", "pg-1", 5432))
    monkeypatch.setattr("blackstart.injection.heal.LIMIT_S", 1.0)
    monkeypatch.setattr("blackstart.faults._pods.READY_S", 0.5)
    server.refuse = lambda method, path: mode
    report = heal(platform=where.platform)
    assert not report.ok
    assert where.platform.state["bs-r1-pg-2"] == "running"
    (healed,) = report.runs
    assert healed.done == ("undone: freeze of bs-r1-pg-2",)
    assert "NOT undone" in healed.failed[0]
    assert "503" in healed.failed[0] or "no answer within" in healed.failed[0]
    assert f"undo by hand: curl -X POST {server.url}/reset" in healed.failed[0]
    assert len(Journal("r1").in_force()) == 1
    server.refuse = lambda method, path: None
    assert heal(platform=where.platform).ok
    assert server.proxies["pg-1:5432"]["enabled"]
    assert heal(platform=where.platform).lines == []


def test_two_limits_that_were_left_on_one_container_are_both_gone(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(where, *(cpu_throttle("app-1", cpus=cpus) for cpus in (0.5, 0.2)))
    limit, lifted = where.platform.limit_cpu, threading.Event()

    def late(name: str, cpus: float | None) -> None:
        """The limit of before the second acts after that of before the first, unless that one waits."""
        if cpus is not None:
            lifted.wait(0.3)
        limit(name, cpus)
        lifted.set()

    monkeypatch.setattr(where.platform, "limit_cpu", late)
    assert heal(platform=where.platform).ok
    assert where.platform.cpus == {"bs-r1-app-1": None}


def test_only_what_is_in_the_way_goes_first(where: FakeSite) -> None:
    where.apis |= {"pg-1": where.apis["app-1"]}
    edge = edge_latency("app-1", "pg-1", 5432).plan(where)
    app, database = freeze("app-1").plan(where), freeze("pg-1").plan(where)
    assert goes_first(zone_lost("a").plan(where), edge), "its sidecar is frozen"
    assert not goes_first(app, edge), "its sidecar is not"
    assert not goes_first(partition("app-1").plan(where), edge), "we are not kept out"
    assert not goes_first(edge_latency("app-1", "pg-2", 5432).plan(where), edge)
    assert goes_first(app, cpu_throttle("app-1").plan(where))
    assert not goes_first(cpu_throttle("app-1").plan(where), app)
    assert not goes_first(database, app)
    assert not goes_first(replace(app, kind="of another version"), app)


def test_a_stack_that_was_to_go_is_removed_and_its_folder_with_it(where: FakeSite) -> None:
    leave(where, kill("app-1"))
    RunRecord("r1", 1, boot_id(), True).write()
    report = heal(platform=where.platform)
    assert report.ok
    assert report.lines == [
        "run r1: undone: kill of bs-r1-app-1",
        "run r1: removed what it left: 6 containers, networks and volumes",
    ]
    assert where.platform.state == {}
    assert runs() == ()


def test_a_stack_that_was_to_be_kept_stays(where: FakeSite) -> None:
    leave(where, freeze("app-1"))
    RunRecord("r1", 1, boot_id(), False).write()
    assert heal(platform=where.platform).lines == ["run r1: undone: freeze of bs-r1-app-1"]
    assert set(where.platform.state.values()) == {"running"}
    assert runs() == ("r1",)
    assert heal(platform=where.platform).lines == []


def test_a_live_run_is_never_touched(where: FakeSite) -> None:
    leave(where, freeze("app-1"))
    with RunLock("r1"):
        assert heal(platform=where.platform).lines == []
        with pytest.raises(LockHeld, match="run r1 is in use by process"):
            heal("r1", platform=where.platform)
    assert where.platform.state["bs-r1-app-1"] == "paused"


def test_faults_of_containers_that_are_gone_are_gone(where: FakeSite) -> None:
    leave(where, freeze("app-1"))
    where.platform.state.clear()
    assert heal(platform=where.platform).lines == ["run r1: gone with its containers: freeze of bs-r1-app-1"]
    assert not state_dir("r1").exists()


def test_faults_from_before_a_reboot_are_gone(where: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(where, freeze("app-1"))
    monkeypatch.setattr("blackstart.injection.heal.boot_id", lambda: "another boot")
    where.platform.state = dict.fromkeys(where.platform.state, "exited")
    where.platform.log.clear()
    assert heal(platform=where.platform).lines[0].endswith("anew: freeze of bs-r1-app-1")
    assert where.platform.log == []


def test_after_a_reboot_a_setting_is_kept_in_mind_until_it_can_be_put_back(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(where, cpu_throttle("app-1"), freeze("app-1"))
    monkeypatch.setattr("blackstart.injection.heal.boot_id", lambda: "another boot")
    before = where.platform.state
    where.platform.state = dict.fromkeys(before, "exited")
    report = heal(platform=where.platform)
    assert not report.ok
    assert [e.undo.kind for e in Journal("r1").in_force()] == ["cpu_throttle"]
    assert "left until its containers run again" in report.lines[-1]
    where.platform.state = dict.fromkeys(before, "running")
    assert heal(platform=where.platform).lines == ["run r1: undone: cpu_throttle of bs-r1-app-1"]
    assert where.platform.cpus == {"bs-r1-app-1": None}


def test_after_a_reboot_what_runs_again_is_not_taken_for_well(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(where, kill("app-1"))
    monkeypatch.setattr("blackstart.injection.heal.boot_id", lambda: "another boot")
    assert heal(platform=where.platform).lines == ["run r1: undone: kill of bs-r1-app-1"]
    assert where.platform.state["bs-r1-app-1"] == "running"


def test_a_reboot_of_this_machine_ends_no_fault_on_another(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(where, freeze("app-1"))
    monkeypatch.setattr("blackstart.injection.heal.boot_id", lambda: "another boot")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2375")
    assert heal(platform=where.platform).lines == ["run r1: undone: freeze of bs-r1-app-1"]
    assert where.platform.state["bs-r1-app-1"] == "running"


@pytest.mark.parametrize("remove", [True, False])
def test_a_run_of_another_engine_is_left_as_it_is(where: FakeSite, remove: bool) -> None:
    leave(where, freeze("app-1"))
    RunRecord("r1", 1, boot_id(), remove, engine="ENGINE-1").write()
    there = where.platform
    here = FakePlatform(engine="ENGINE-2")
    report = heal(platform=here)
    assert not report.ok
    assert "it belongs to the Docker engine ENGINE-1, and this is ENGINE-2" in report.lines[0]
    assert len(Journal("r1").in_force()) == 1
    assert there.state["bs-r1-app-1"] == "paused"
    assert heal(platform=there).ok
    assert not Journal("r1").in_force()


def test_the_record_of_a_run_says_which_engine_it_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*_: object, **__: object) -> None:
        raise OSError("no process today")

    monkeypatch.setattr("blackstart.injection.watchdog.subprocess.Popen", no_process)
    with pytest.raises(OSError, match="today"):
        Watchdog.start("r1", remove_stack=True, engine="ENGINE-1")
    record = RunRecord.read("r1")
    assert record is not None
    assert record.engine == "ENGINE-1"


def test_what_the_engine_cannot_let_go_of_is_named_and_no_failure(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunRecord("r1", 1, boot_id(), True).write()
    remove = where.platform.remove_run
    monkeypatch.setattr(where.platform, "remove_run", lambda run: [*remove(run), left("blackstart-r1")])
    report = heal(platform=where.platform)
    assert report.ok
    assert report.lines[0] == "run r1: removed what it left: 6 containers, networks and volumes"
    assert "blackstart-r1 (left: the engine counts endpoints" in report.lines[1]
    assert not state_dir("r1").exists()


def test_without_anything_to_heal_the_engine_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.injection.heal._local", lambda: pytest.fail("asked"))
    assert heal().lines == []


def test_a_run_without_a_journal_is_healed_by_looking_only_on_demand(
    where: FakeSite, server: ToxiproxyInMemory
) -> None:
    where.platform.pause("bs-r1-pg-1")
    where.platform.kill("bs-r1-app-1")
    where.platform.log.clear()
    assert heal(platform=where.platform).lines == []
    assert where.platform.log == []
    report = heal(all=True, platform=where.platform)
    assert report.ok
    assert set(where.platform.state.values()) == {"running"}
    assert report.lines == ["run r1: let go on: bs-r1-pg-1", "run r1: started: bs-r1-app-1"]


def test_a_sidecar_that_was_down_has_lost_its_edges_and_is_not_called_healed(where: FakeSite) -> None:
    where.platform.kill("bs-r1-app-1-net")
    for _ in range(2):
        report = heal(all=True, platform=where.platform)
        assert report.lines == ["run r1: bs-r1-app-1-net: edges lost: take the run down (blackstart down r1)"]
        assert not report.ok
