"""Services that are gone with all that they held, and what replaces them."""

from __future__ import annotations

import secrets

import pytest
import requests

from blackstart.faults import fault_from_dict, instances_lost
from blackstart.faults.base import Undo
from blackstart.injection.heal import heal
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.stack import Stack
from blackstart.platforms.capabilities import ExecResult
from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.provision import steady, supply
from blackstart.stack.running import RunningStack
from tests import smallstack
from tests.faults.fakes import FakeSite, site, stack
from tests.faults.small import injected, ready_s, well
from tests.stacks import brought_up


def disk_of(where: FakeSite, *left: str) -> None:
    """The keeper of the disks answers; what is `left` is still on them."""
    where.platform.answer = lambda name, cmd: ExecResult(0, "\n".join(left) if "sh" in cmd else "")


def names(*instances: str) -> tuple[str, ...]:
    return tuple(f"bs-r1-{name}" for name in instances)


@pytest.mark.parametrize(
    ("target", "spared", "lost"),
    [
        ("postgres", "", names("pg-1", "pg-2")),
        ("postgres.replica", "", names("pg-2")),
        ("all", "pg-1", names("pg-2", "app-1")),
        ("all", "postgres", names("app-1")),
        ("all", "pg-1,app", names("pg-2")),
        ("postgres", "pg-1", names("pg-2")),
    ],
)
def test_lost_is_whom_the_target_means_but_for_the_spared(
    target: str, spared: str, lost: tuple[str, ...]
) -> None:
    fault = instances_lost(target, spared)
    fault.validate(stack(pg_1="primary", pg_2="replica"))
    assert fault.plan(site()).targets == lost


@pytest.mark.parametrize(
    ("target", "spared", "named"),
    [
        ("pgg", "", "unknown target 'pgg'"),
        ("all", "pgg", "unknown target 'pgg'"),
        ("all", "pg-1,", "not a target: ''"),
        ("pg-1", "postgres", "nothing would be lost"),
    ],
)
def test_what_means_nothing_is_refused(target: str, spared: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        instances_lost(target, spared).validate(stack(pg_1="primary"))


def test_everything_survives_the_round_trip_and_names_its_instances() -> None:
    fault = instances_lost("all", spared="pg-1")
    again = fault_from_dict(fault.to_dict())
    assert again == fault
    assert [i.name for group in again.meant(stack(pg_1="primary")) for i in group] == ["pg-2", "app-1"]
    assert again.ends == () and instances_lost("postgres").ends == ("target",)


def test_one_that_is_down_is_not_ours_to_lose() -> None:
    where = site()
    where.platform.kill("bs-r1-pg-2")
    with pytest.raises(InjectionError, match="bs-r1-pg-2 is down"):
        instances_lost("postgres").plan(where)


def test_the_lost_are_gone_and_the_undo_makes_only_the_missing_anew() -> None:
    where = site()
    disk_of(where)
    fault = instances_lost("postgres")
    undo = Undo.from_dict(fault.plan(where).to_dict())
    fault.inject(where, undo)
    assert fault.bite(where, undo) == "gone: bs-r1-pg-1, bs-r1-pg-2"
    assert "cannot find bs-r1-pg-1" in str(fault.undone(undo, where.platform))
    where.platform.state["bs-r1-pg-1"] = "running"  # somebody followed the runbook
    where.platform.log.clear()
    fault.undo(undo, where.platform)
    assert fault.undone(undo, where.platform) is None
    assert where.platform.state["bs-r1-pg-2"] == "running"


def test_a_disk_with_anything_on_it_is_no_lost_one() -> None:
    where = site()
    fault = instances_lost("pg-1")
    undo = fault.plan(where)
    undo = Undo(undo.kind, undo.run_id, undo.targets, {"keeper": where.keeper, "disks": ["/disks/pg-1/data"]})
    disk_of(where, "base")
    fault.inject(where, undo)
    with pytest.raises(BiteError, match="/disks/pg-1/data still has base"):
        fault.bite(where, undo)


def written(small: RunningStack) -> dict[str, str]:
    body = {"key": f"k-{secrets.token_hex(4)}", "id": "a"}
    requests.post(small.url("web-1", "http", "/write"), json=body, timeout=5).raise_for_status()
    return body


def held(small: RunningStack, key: str) -> list[str]:
    found = requests.get(small.url("web-2", "http", f"/read/{key}"), timeout=5)
    found.raise_for_status()
    return list(found.json()["ids"])


def tags(declared: Stack, running: RunningStack) -> dict[str, str]:
    """The images that the stack runs on, by name."""
    return {
        i.image.name: str(running.platform.inspect(running.container(i.name))["Config"]["Image"])
        for i in declared.instances
    }


@pytest.mark.integration
def test_a_lost_store_is_made_anew_empty_and_in_its_place(small: RunningStack) -> None:
    body = written(small)
    before = small.platform.inspect(small.container("store-1"))
    with injected(instances_lost("store"), small) as bite:
        assert bite.endswith("; empty: /disks/store-1/data")
        assert ready_s(small) is None
        assert small.container("store-1") not in {c.name for c in small.platform.list() if c.instance}
    well(small)
    assert held(small, body["key"]) == [], "nothing that it held came back"
    after = small.platform.inspect(small.container("store-1"))
    assert after["Id"] != before["Id"]
    for told in ("Env", "Cmd", "Entrypoint", "Labels"):
        assert after["Config"][told] == before["Config"][told]
    for told in ("NetworkMode", "Binds", "Memory"):
        assert after["HostConfig"][told] == before["HostConfig"][told]
    assert not [c.name for c in small.platform.list(small.run_id) if c.part == "pattern"]


@pytest.mark.integration
def test_what_the_runbook_provisions_stays_when_the_fault_is_undone(small: RunningStack) -> None:
    images = tags(small.stack, small)
    with injected(instances_lost("web"), small):
        started = supply(small, ("web-1", "store-1"), images, {"web-1": {"GREETING": "hello"}})
        assert started == ["web-1"], "what is there is left alone"
        well(small)
        made = small.platform.inspect(small.container("web-1"))
        assert "GREETING=hello" in made["Config"]["Env"]
        found = RunningStack.find(small.stack, small.run_id, small.platform, lost=True)
        assert found.ports == small.ports, "the published ports are those of before"
    assert small.platform.inspect(small.container("web-1"))["Id"] == made["Id"]
    well(small, "web-2")


@pytest.mark.integration
def test_only_the_service_of_a_pod_can_be_lost(small: RunningStack) -> None:
    with pytest.raises(PlatformError, match="a network of its own"):
        small.platform.lose(small.sidecar("web-1"))
    assert small.platform.is_running(small.sidecar("web-1"))


@pytest.mark.integration
def test_without_a_journal_the_lost_are_found_and_made_anew(platform: DockerPlatform) -> None:
    with brought_up(smallstack.stack, platform) as running:
        platform.lose(running.container("web-2"))
        report = heal(running.run_id, platform=platform)
        assert report.ok, report.lines
        assert any("made anew, empty" in line for line in report.lines)
        steady(running, "30s")
