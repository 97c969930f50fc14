"""Faults on edges against a Toxiproxy in memory."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from blackstart.faults import Fault, edge_down, edge_latency, edge_timeout
from blackstart.faults.edge_down import _PROBE
from blackstart.model.errors import BiteError, InjectionError, PlatformError
from blackstart.platforms.capabilities import ExecResult
from blackstart.toxiproxy.client import PROXY_API_PORT
from tests.faults.fakes import FakeSite, site, stack
from tests.toxiproxy.memory import ToxiproxyInMemory

LISTENS = {e.name: e.proxy["listen"] for e in stack().edges if e.source == "app-1"}


@pytest.fixture
def server() -> Any:
    with ToxiproxyInMemory(LISTENS) as running:
        yield running


@pytest.fixture
def where(server: ToxiproxyInMemory) -> FakeSite:
    made = site()
    made.apis["app-1"] = server.url
    made.platform.host_ports = {PROXY_API_PORT: server.port}
    made.platform.answer = refused
    return made


def refused(name: str, cmd: Sequence[str]) -> ExecResult:
    """What the probe of edge_down says where every connection is refused."""
    places = zip(cmd[4::2], cmd[5::2], strict=True)
    lines = [f"probe: line 5: /dev/tcp/{host}/{port}: Connection refused" for host, port in places]
    return ExecResult(0, "\n".join(lines))


def test_an_edge_goes_down_and_up_alone(where: FakeSite, server: ToxiproxyInMemory) -> None:
    fault = edge_down("app-1", "postgres.primary", 5432)
    undo = fault.plan(where)
    assert undo.targets == ("bs-r1-app-1-net",)
    with pytest.raises(BiteError, match="app-1 -> pg-1:5432"):
        fault.bite(where, undo)
    fault.inject(where, undo)
    shown = "proxies disabled: app-1 -> pg-1:5432; app-1 -> pg-1:5432 refused"
    assert fault.bite(where, undo) == shown
    assert [n for n, p in server.proxies.items() if not p["enabled"]] == ["pg-1:5432"]
    assert type(fault).undone(undo, where.platform) == "edge app-1 -> pg-1:5432 is still down"
    for _ in range(2):
        type(fault).undo(undo, where.platform)
    assert type(fault).undone(undo, where.platform) is None


def test_without_a_port_every_edge_goes_down(where: FakeSite, server: ToxiproxyInMemory) -> None:
    fault = edge_down("app", "postgres")
    fault.inject(where, fault.plan(where))
    assert not any(p["enabled"] for p in server.proxies.values())


@pytest.mark.parametrize(
    ("told", "error", "seen"),
    [
        (ExecResult(0, "open\nopen"), BiteError, "app-1 -> pg-1:5432: a connection is not refused: open"),
        (ExecResult(0, "probe: No such file or directory\nopen"), BiteError, "No such file"),
        (ExecResult(127, "timeout: failed to run command 'bash'"), PlatformError, "failed to run command"),
        (ExecResult(0, ""), PlatformError, "bs-r1-app-1-net: cannot try its edges"),
    ],
)
def test_an_edge_that_reads_back_down_bites_only_if_a_connection_feels_it(
    where: FakeSite, told: ExecResult, error: type[Exception], seen: str
) -> None:
    fault = edge_down("app-1", "postgres", 5432)
    undo = fault.plan(where)
    fault.inject(where, undo)
    assert "app-1 -> pg-2:5432 refused" in fault.bite(where, undo)
    where.platform.answer = lambda *_: told
    with pytest.raises(error, match=seen):
        fault.bite(where, undo)


def test_the_probe_tells_refused_from_closed_from_open() -> None:
    def answer(listening: socket.socket, say: bytes) -> None:
        with listening.accept()[0] as connection:
            connection.sendall(say)

    with socket.create_server(("127.0.0.1", 0)) as closing, socket.create_server(("127.0.0.1", 0)) as talking:
        for server, say in ((closing, b""), (talking, b"hello")):
            threading.Thread(target=answer, args=(server, say), daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as over:
            gone = over.getsockname()[1]
        ports = [gone, closing.getsockname()[1], talking.getsockname()[1]]
        places = [part for port in ports for part in ("127.0.0.1", str(port))]
        done = subprocess.run(["bash", "-c", _PROBE, "probe", *places], stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    assert lines[0].endswith("Connection refused")
    assert lines[1:] == ["closed at once", "open"]


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
    where.platform.answer = None
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


def test_a_probe_that_says_nothing_is_no_proof_either_way_but_a_platform_that_fails_is_an_error(
    where: FakeSite,
) -> None:
    def fail(name: str, cmd: Sequence[str]) -> ExecResult:
        raise PlatformError("is it frozen?")

    fault = edge_latency("app-1", "pg-2", 5432)
    undo = fault.plan(where)
    fault.inject(where, undo)
    where.platform.answer = lambda *_: ExecResult(2, "")
    assert fault.bite(where, undo).endswith("; read back only")
    where.platform.answer = fail
    with pytest.raises(PlatformError, match="frozen"):
        fault.bite(where, undo)


@pytest.mark.parametrize(
    ("output", "bite"),
    [("answered\nsilent", "no answer in 1 s"), ("answered", None), ("", "read back only")],
)
def test_a_black_hole_that_lets_an_answer_through_is_none(
    where: FakeSite, monkeypatch: pytest.MonkeyPatch, output: str, bite: str | None
) -> None:
    fault = edge_timeout("app-1", "pg-2", 5432)
    undo = fault.plan(where)
    fault.inject(where, undo)
    monkeypatch.setattr(where.platform, "exec", lambda *_, **__: ExecResult(0, output))
    if bite is not None:
        assert fault.bite(where, undo).endswith(bite)
    else:
        with pytest.raises(BiteError, match="answered, not swallowed"):
            fault.bite(where, undo)


def test_a_toxic_for_another_share_is_no_bite(where: FakeSite, server: ToxiproxyInMemory) -> None:
    fault = edge_timeout("app-1", "pg-2", 5432, share=0.5)
    undo = fault.plan(where)
    fault.inject(where, undo)
    server.proxies["pg-2:5432"]["toxics"][0]["toxicity"] = 0.1
    with pytest.raises(BiteError, match="no timeout"):
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
