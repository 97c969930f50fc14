"""The blast radius and the quorum guard refuse before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from blackstart.faults import Fault, disk_full, edge_down, freeze, kill, packet_loss, partition
from blackstart.injection.injector import Injector
from blackstart.injection.journal import Journal
from blackstart.model.blast import BlastRadius
from blackstart.model.errors import ConfigError, HarnessError, InjectionError
from blackstart.model.stack import Instance
from tests.faults.fakes import IMAGE, FakeSite, site

WIDE = BlastRadius(instances=9, zones=9, faults=9)


@pytest.fixture
def where() -> FakeSite:
    """Two databases in zones a and b, and three apps, all in zone a."""
    made = site()
    apps = tuple(Instance(f"app-{n}", "app", IMAGE, {"http": 8000}) for n in (1, 2, 3))
    others = tuple(i for i in made.stack.instances if i.service != "app")
    made.stack = replace(made.stack, instances=(*others, *apps))
    for app in apps:
        made.platform.state[made.container(app.name)] = "running"
        made.platform.state[made.sidecar(app.name)] = "running"
    return made


def injector(where: FakeSite, radius: BlastRadius | None) -> Injector:
    return Injector(where, lambda *_, **__: None, Journal("r1"), radius)


def refused(where: FakeSite, radius: BlastRadius, fault: Fault, match: str, *before: Fault) -> None:
    each = injector(where, radius)
    for one in before:
        each.inject(one)
    seen = list(where.platform.log)
    with pytest.raises(InjectionError, match=match):
        each.inject(fault)
    assert where.platform.log == seen, "nothing was touched"
    assert len(Journal("r1").in_force()) == len(before)
    each.undo_all()


def test_one_instance_of_a_role_is_the_default(where: FakeSite) -> None:
    with injector(where, BlastRadius()).inject(freeze("app-1")):
        pass
    match = r"blast radius \(instances=1\): app: app-1, app-2, app-3; a drill that means it declares"
    refused(where, BlastRadius(), freeze("app", allow_total_loss=True), match)


def test_faults_in_force_count_and_those_undone_do_not(where: FakeSite) -> None:
    refused(where, BlastRadius(), freeze("app-2"), r"app: app-1, app-2", freeze("app-1"))
    each = injector(where, BlastRadius())
    each.inject(freeze("app-1")).undo()
    each.inject(freeze("app-2")).undo()


def test_roles_of_one_service_are_counted_apart(where: FakeSite) -> None:
    radius = BlastRadius(instances=1, zones=2)
    each = injector(where, radius)
    each.inject(freeze("postgres.primary"))
    each.inject(freeze("postgres.replica", allow_total_loss=True))
    each.undo_all()


def test_while_a_service_tells_no_roles_it_is_bounded_as_a_whole(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ill(service: str) -> Any:
        raise HarnessError("nobody leads")

    monkeypatch.setattr(where, "role_map", ill)
    radius = BlastRadius(instances=1, zones=2)
    refused(where, radius, freeze("pg-2", allow_total_loss=True), "postgres: pg-1, pg-2", freeze("pg-1"))


def test_zones_and_faults_are_bounded(where: FakeSite) -> None:
    fault = freeze("postgres", allow_total_loss=True)
    refused(where, BlastRadius(instances=2), fault, r"zones=1\): zones a, b")
    radius = BlastRadius(instances=3, faults=2)
    refused(
        where, radius, freeze("app-3"), r"faults=2\): 3 faults in force", freeze("app-1"), freeze("app-2")
    )


def test_the_last_healthy_member_is_kept(where: FakeSite) -> None:
    refused(where, WIDE, kill("app"), r"would leave none of app healthy.*allow_total_loss=True")
    refused(where, WIDE, kill("app-3"), "none of app", freeze("app-1"), freeze("app-2"))
    where.platform.state["bs-r1-app-2"] = "exited"
    refused(where, WIDE, freeze("app-3"), "none of app", freeze("app-1"))
    where.platform.state["bs-r1-app-2"] = "running"
    injector(where, WIDE).inject(freeze("app", allow_total_loss=True)).undo()


def test_a_quorum_is_kept_where_one_is_declared(where: FakeSite) -> None:
    where.stack = replace(where.stack, quorum={"app": 2})
    refused(where, WIDE, freeze("app-2"), "would leave app-3 of app healthy, and it needs 2", freeze("app-1"))
    # A quorum that is lost already cannot be lost again; the last member can.
    where.stack = replace(where.stack, quorum={"app": 3})
    each = injector(where, WIDE)
    each.inject(freeze("app-1", allow_total_loss=True))
    each.inject(freeze("app-2"))
    with pytest.raises(InjectionError, match="would leave none of app healthy, and it needs 3"):
        each.inject(freeze("app-3"))
    each.inject(freeze("app-3", allow_total_loss=True)).undo()
    each.undo_all()


@pytest.mark.parametrize(
    ("fault", "out"),
    [
        (partition("app-1"), True),
        (partition("app-1", ["postgres", "app-2", "app-3"], direction="inbound"), True),
        (partition("app-1", ["postgres", "app-2"]), False),
        (packet_loss("app-1", percent=100), True),
        (packet_loss("app-1", "postgres", percent=100), False),
        (packet_loss("app-1", percent=99), False),
        (disk_full("app-1"), True),
    ],
)
def test_who_is_cut_off_from_all_others_counts_as_taken_out(where: FakeSite, fault: Fault, out: bool) -> None:
    assert fault.takes_out_of(where.stack) is out


def test_an_edge_takes_nobody_out_and_a_weakening_is_not_bounded(where: FakeSite) -> None:
    assert not edge_down("app-1", "postgres.primary").takes_out
    each = injector(where, BlastRadius())
    each.inject(freeze("app-1"), source="variant")
    each.inject(freeze("app-2")).undo()
    each.undo_all()


def test_without_a_radius_nothing_is_bounded(where: FakeSite) -> None:
    injector(where, None).inject(freeze("app")).undo()


@pytest.mark.parametrize("bad", [{"instances": 0}, {"zones": True}, {"faults": 1.5}])
def test_a_bound_is_a_whole_number(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="whole number from 1"):
        BlastRadius(**bad)


def test_a_quorum_of_no_service_is_refused(where: FakeSite) -> None:
    with pytest.raises(ConfigError, match="unknown service 'appp'"):
        replace(where.stack, quorum={"appp": 2})
