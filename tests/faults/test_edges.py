"""Faults on edges against a Toxiproxy in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blackstart.faults import Fault, edge_down, edge_latency
from blackstart.faults._edges import API_PORT
from blackstart.model.errors import BiteError, InjectionError, PlatformError
from blackstart.platforms.capabilities import ExecResult
from tests.faults.fakes import FakeSite, site
from tests.toxiproxy.memory import ToxiproxyInMemory

PROXIES = ("pg-1:5432", "pg-1:8008", "pg-2:5432", "pg-2:8008")


@pytest.fixture
def server() -> Any:
    with ToxiproxyInMemory({n: f"127.0.1.1:{n.split(':')[1]}" for n in PROXIES}) as running:
        yield running


@pytest.fixture
def where(server: ToxiproxyInMemory) -> FakeSite:
    made = site()
    made.apis["app-1"] = server.url
    made.platform.host_ports = {API_PORT: server.port}
    return made


def test_an_edge_goes_down_and_up_alone(where: FakeSite, server: ToxiproxyInMemory) -> None:
    fault = edge_down("app-1", "postgres.primary", 5432)
    undo = fault.plan(where)
    assert undo.targets == ("bs-r1-app-1-net",)
    with pytest.raises(BiteError, match="app-1 -> pg-1:5432"):
        fault.bite(where, undo)
    fault.inject(where, undo)
    assert fault.bite(where, undo) == "proxies disabled: app-1 -> pg-1:5432"
    assert [n for n, p in server.proxies.items() if not p["enabled"]] == ["pg-1:5432"]
    assert type(fault).undone(undo, where.platform) == "edge app-1 -> pg-1:5432 is still down"
    for _ in range(2):
        type(fault).undo(undo, where.platform)
    assert type(fault).undone(undo, where.platform) is None


def test_without_a_port_every_edge_goes_down(where: FakeSite, server: ToxiproxyInMemory) -> None:
    fault = edge_down("app", "postgres")
    fault.inject(where, fault.plan(where))
    assert not any(p["enabled"] for p in server.proxies.values())


@pytest.mark.parametrize("direction", ["both", "upstream", "downstream"])
def test_latency_comes_and_goes_in_its_directions(
    where: FakeSite, server: ToxiproxyInMemory, direction: str
) -> None:
    fault = edge_latency("app-1", "pg-2", 5432, latency="300ms", jitter="20ms", direction=direction)
    undo = fault.plan(where)
    fault.inject(where, undo)
    toxics = server.proxies["pg-2:5432"]["toxics"]
    assert {t["stream"] for t in toxics} == (
        {"upstream", "downstream"} if direction == "both" else {direction}
    )
    assert toxics[0]["attributes"] == {"latency": 300, "jitter": 20}
    assert '"latency": 300' in fault.bite(where, undo)
    assert "still carries" in str(type(fault).undone(undo, where.platform))
    for _ in range(2):
        type(fault).undo(undo, where.platform)
    assert type(fault).undone(undo, where.platform) is None
    assert server.proxies["pg-2:5432"]["toxics"] == []


@pytest.mark.parametrize(
    ("output", "bites"), [("280 0", True), ("269 0", True), ("12 0", False), ("12 1", False)]
)
def test_a_delay_that_was_measured_and_is_too_short_is_no_bite(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch, output: str, bites: bool
) -> None:
    fault = edge_latency("app-1", "pg-2", 5432, latency="300ms", jitter="10ms")
    undo = fault.plan(where)
    fault.inject(where, undo)
    monkeypatch.setattr(where.platform, "exec", lambda *_, **__: ExecResult(0, output))
    if bites:
        assert "first answer after" in fault.bite(where, undo)
    else:
        with pytest.raises(BiteError, match="12 ms"):
            fault.bite(where, undo)


def test_a_toxic_that_is_gone_is_no_bite(where: FakeSite, server: ToxiproxyInMemory) -> None:
    fault = edge_latency("app-1", "pg-2", 5432)
    undo = fault.plan(where)
    fault.inject(where, undo)
    server.proxies["pg-2:5432"]["toxics"].pop()
    with pytest.raises(BiteError, match="no latency downstream"):
        fault.bite(where, undo)


@pytest.mark.parametrize("fault", [edge_down("app-1", "pg-1", 5432), edge_latency("app-1", "pg-1", 5432)])
def test_an_edge_that_is_disturbed_already_is_refused(
    where: FakeSite, server: ToxiproxyInMemory, fault: Fault
) -> None:
    fault.inject(where, fault.plan(where))
    with pytest.raises(InjectionError, match="already"):
        fault.plan(where)


def test_undo_looks_up_the_port_anew_and_falls_back_on_the_record(
    where: FakeSite, server: ToxiproxyInMemory
) -> None:
    fault = edge_down("app-1", "pg-1", 5432)
    where.apis["app-1"] = server.url
    undo = fault.plan(where)
    fault.inject(where, undo)
    undo.data["edges"][0]["api"] = "http://127.0.0.1:1"
    type(fault).undo(undo, where.platform)
    assert server.proxies["pg-1:5432"]["enabled"]
    fault.inject(where, undo)
    where.platform.host_ports = {}
    undo.data["edges"][0]["api"] = server.url
    type(fault).undo(undo, where.platform)
    assert server.proxies["pg-1:5432"]["enabled"]


def test_undo_makes_a_proxy_that_was_lost_anew(where: FakeSite, server: ToxiproxyInMemory) -> None:
    fault = edge_down("app-1", "pg-1", 5432)
    undo = fault.plan(where)
    before = dict(server.proxies["pg-1:5432"])
    del server.proxies["pg-1:5432"]
    assert "no proxy" in str(type(fault).undone(undo, where.platform))
    type(fault).undo(undo, where.platform)
    assert server.proxies["pg-1:5432"] == before


def test_an_edge_that_cannot_be_restored_does_not_keep_the_others_down(
    where: FakeSite, server: ToxiproxyInMemory
) -> None:
    fault = edge_down("app-1", "postgres", 5432)
    undo = fault.plan(where)
    fault.inject(where, undo)
    server.refuse = lambda method, path: 503 if (method, path) == ("POST", "/proxies/pg-1%3A5432") else None
    with pytest.raises(PlatformError, match="503"):
        type(fault).undo(undo, where.platform)
    assert server.proxies["pg-2:5432"]["enabled"]
    # Then its proxy is made anew, which needs no change of the old one.
    type(fault).escalate(undo, where.platform)
    assert type(fault).undone(undo, where.platform) is None


def test_the_undo_is_plain_data(where: FakeSite) -> None:
    undo = edge_latency("app-1", "postgres").plan(where)
    assert json.loads(json.dumps(undo.to_dict()))["targets"] == ["bs-r1-app-1-net"]
    assert undo.manual.startswith("curl -X POST http://127.0.0.1:")
