"""The client process under load: what it records while the server is killed, stalls and lies."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from blackstart.history.reader import read_history
from blackstart.load.operations import HttpOperation, LoadPlan
from blackstart.load.process import LoadProcess
from blackstart.measure.check import check
from blackstart.model.errors import ConfigError, LoadError
from blackstart.platforms.waiting import wait_for

Line = dict[str, Any]


class Server:
    """The chat service in a process of its own, on a port that outlives its kills."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._file = folder / "turns.jsonl"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "tests.load.server", str(self.port), str(self._file)]
        self._process = subprocess.Popen(argv)
        wait_for("the chat service listens", lambda: self.facts(), limit="15s")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def mode(self, mode: str) -> None:
        requests.post(f"{self.url}/mode", json={"mode": mode}, timeout=5).raise_for_status()

    def facts(self) -> dict[str, int]:
        facts: dict[str, int] = requests.get(f"{self.url}/facts", timeout=5).json()
        return facts


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def plan(server: Server, rate: float = 40, **more: Any) -> LoadPlan:
    read = {"urls": (server.url,), "path": "/session/{session}", "key_from": "chat", "ids_from": "ids"}
    return LoadPlan(
        operations=(
            HttpOperation(
                f="chat",
                rate=rate,
                method="POST",
                urls=(server.url,),
                path="/chat",
                headers={"Idempotency-Key": "{id}"},
                body={"session": "{session}", "message": "{prompt}"},
                id="{id}",
                ack="id",
                deadline="300ms",
            ),
            HttpOperation(f="read", rate=rate / 2, deadline="300ms", **read),  # type: ignore[arg-type]
        ),
        closing=(HttpOperation(f="final", not_found=(404,), **read),),  # type: ignore[arg-type]
        **more,
    )


@pytest.fixture
def load(server: Server, tmp_path: Path) -> Iterator[LoadProcess]:
    process = LoadProcess(plan(server), tmp_path, time.monotonic_ns())
    yield process
    process.kill()


def lines(load: LoadProcess) -> list[Line]:
    return [orjson.loads(line) for line in load.history.read_bytes().splitlines()[1:]]


def ends(load: LoadProcess, f: str = "chat") -> Counter[tuple[str, str | None]]:
    """How often operations of `f` ended how."""
    return Counter((line["type"], line.get("error")) for line in lines(load) if line["f"] == f)


def await_end(load: LoadProcess, kind: str, error: str, least: int = 5) -> None:
    """Wait until `least` chats ended so."""
    wait_for(
        f"{least} chats ended as {kind} {error}",
        lambda: ends(load)[kind, error] >= least or None,
        limit="15s",
        error=LoadError,
        last=lambda: str(ends(load)),
    )


def assert_lawful(load: LoadProcess) -> None:
    """The laws of the format that the reader does not enforce."""
    read_history(load.history)
    retired: set[int] = set()
    invoked: dict[int, Line] = {}
    for line in lines(load):
        process = line["process"]
        if line["type"] == "invoke":
            assert process not in retired, "a process number was used again after an info"
            assert line["intended"] <= line["time"], "nothing starts before it is due"
            invoked[process] = line
        else:
            assert line["time"] - invoked[process]["time"] < 2e9, "every operation has its deadline"
            if line["type"] == "info":
                retired.add(process)


def test_faults_are_told_apart_and_the_ledger_comes_out_right(server: Server, load: LoadProcess) -> None:
    load.start()
    load.wait_clean()
    for mode, kind, error in (
        ("error", "info", "http-500"),
        ("not-applied", "fail", "http-503"),
        ("reject", "fail", "http-422"),
        ("silent-error", "info", "not-acknowledged"),
        ("drop", "info", "disconnected"),
        ("stall", "info", "timeout"),
    ):
        server.mode(mode)
        await_end(load, kind, error)
    server.mode("ok")
    server.freeze()
    before = ends(load)["info", "timeout"]
    await_end(load, "info", "timeout", before + 5)
    server.thaw()
    server.kill()
    await_end(load, "fail", "refused")
    server.start()
    load.wait_clean()
    load.stop()
    assert load.final_reads("10s") == []
    assert not load.alive
    assert_lawful(load)
    found = check(load.history)
    assert found["verdict"] == "pass"
    assert len(found["recovered"]) >= 10, "dropped and silently failed turns were applied, and are found"
    read = [line for line in lines(load) if line["type"] == "ok" and line["f"] == "read"]
    assert read and all(line["value"]["ids"] for line in read), "reads show sessions with acknowledged turns"


def test_prompts_are_unique_and_a_session_has_one_turn_at_a_time(server: Server, load: LoadProcess) -> None:
    load.start()
    load.wait_clean(2)
    load.stop()
    facts = server.facts()
    assert facts["prompts"] == facts["distinct"] >= 60
    assert facts["overlaps"] == 0


def test_what_could_not_be_started_is_recorded(server: Server, tmp_path: Path) -> None:
    load = LoadProcess(plan(server, max_in_flight=3), tmp_path, time.monotonic_ns())
    try:
        load.start()
        load.wait_clean()
        server.mode("stall")
        await_end(load, "fail", "not-started")
        server.mode("ok")
        load.wait_clean()
        load.stop()
        assert load.final_reads() == []
        assert_lawful(load)
        assert check(load.history)["verdict"] == "pass"
        due = [line["intended"] for line in lines(load) if line["f"] == "chat" and line["type"] == "invoke"]
        assert {after - before for before, after in itertools.pairwise(due)} == {25_000_000}, (
            "no holes, no drift"
        )
    finally:
        load.kill()


def test_an_invoke_is_on_record_before_its_request_arrives(server: Server, load: LoadProcess) -> None:
    load.start()
    load.wait_clean()
    server.mode("stall")
    await_end(load, "info", "timeout")
    assert load.pid is not None
    os.kill(load.pid, signal.SIGKILL)
    wait_for("the client is gone", lambda: not load.alive or None, limit="5s")
    sent = server.facts()["prompts"]
    on_record = sum(line["f"] == "chat" and line["type"] == "invoke" for line in lines(load))
    assert on_record >= sent
    read_history(load.history)
    with pytest.raises(LoadError, match="the load client ended"):
        load.wait_clean()


def test_closing_reads_that_hang_do_not_make_the_others_wait_beyond_the_limit(
    server: Server, tmp_path: Path
) -> None:
    made = plan(server)
    chat, read = (replace(each, keys=30) for each in made.operations)
    closing = tuple(replace(each, deadline="1s") for each in made.closing)
    load = LoadProcess(replace(made, operations=(chat, read), closing=closing), tmp_path, time.monotonic_ns())
    try:
        load.start()
        load.wait_clean()
        load.stop()
        server.freeze()
        assert len(load.final_reads("500ms")) == 30
        assert ends(load, "final")["invoke", None] <= 8
    finally:
        load.kill()


def test_a_closing_read_is_tried_until_it_answers(server: Server, load: LoadProcess) -> None:
    load.start()
    load.wait_clean()
    load.stop()
    server.kill()
    unread = load.final_reads("600ms")
    assert len(unread) == 8
    tries = ends(load, "final")
    assert tries["invoke", None] == tries["fail", "refused"] >= 16
    assert check(load.history)["verdict"] == "unknown"
    assert_lawful(load)


def test_a_baseline_that_is_not_clean_says_why(server: Server, load: LoadProcess) -> None:
    server.mode("error")
    load.start()
    with pytest.raises(LoadError, match=r"not well .*chat: http-500"):
        load.wait_clean(limit="3s")


def test_sigterm_stops_the_load_and_leaves_the_closing_reads_to_come(
    server: Server, load: LoadProcess
) -> None:
    load.start()
    load.wait_clean()
    assert load.pid is not None
    os.kill(load.pid, signal.SIGTERM)
    load.stop("5s")
    assert load.final_reads("5s") == []
    assert_lawful(load)


def test_the_client_ends_when_its_parent_is_killed(server: Server, tmp_path: Path) -> None:
    script = (
        "import json, sys, time, pathlib\n"
        "from blackstart.load.operations import LoadPlan\n"
        "from blackstart.load.process import LoadProcess\n"
        "plan = LoadPlan.from_dict(json.loads(sys.argv[1]))\n"
        "load = LoadProcess(plan, pathlib.Path(sys.argv[2]), time.monotonic_ns())\n"
        "load.start()\n"
        "print(load.pid, flush=True)\n"
        "load.wait_clean(60, limit=60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, json.dumps(plan(server).to_dict()), str(tmp_path)],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    client = Path(f"/proc/{int(parent.stdout.readline())}")
    assert client.exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for("the client is gone", lambda: not client.exists() or None, limit="5s")
    read_history(tmp_path / "history.jsonl")


def test_a_plan_that_is_none_is_refused_with_exit_3(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "blackstart.load.client", "--plan", "-", "--out", str(tmp_path / "h")]
    done = subprocess.run(
        argv, input=b'{"operations": [{"kind": "smtp"}]}\n', capture_output=True, timeout=30
    )
    assert done.returncode == 3
    assert done.stderr.decode().startswith("load client: unknown kind of operation 'smtp'; valid are http")
    assert not (tmp_path / "h").exists()


def test_a_client_that_cannot_write_is_not_started(server: Server, tmp_path: Path) -> None:
    load = LoadProcess(plan(server), tmp_path / "nowhere", time.monotonic_ns())
    with pytest.raises(LoadError, match="cannot write the history"):
        load.start()
    load.kill()


@pytest.mark.slow
def test_200_operations_a_second_start_in_time(server: Server, tmp_path: Path) -> None:
    load = LoadProcess(plan(server, rate=133.4), tmp_path, time.monotonic_ns())
    try:
        load.start()
        assert load.pid is not None
        os.sched_setaffinity(load.pid, {min(os.sched_getaffinity(0))})
        load.wait_clean(10, ratio=0.9, limit=20)
        load.stop()
    finally:
        load.kill()
    lags = sorted((line["time"] - line["intended"]) / 1e6 for line in lines(load) if line["type"] == "invoke")
    assert len(lags) >= 1900
    assert lags[int(0.99 * len(lags))] <= 5.0, "start lag p99, ms"
    assert ("fail", "not-started") not in ends(load)


def test_a_rate_can_be_changed_in_the_middle_and_back(load: LoadProcess) -> None:
    load.start()
    load.wait_clean(1, limit="15s")

    def due(since_ns: int) -> list[int]:
        return [
            line["intended"]
            for line in lines(load)
            if (line["f"], line["type"]) == ("chat", "invoke") and line["intended"] >= since_ns
        ]

    changed = max(due(0))
    load.turn_to({"chat": 200})
    wait_for("a hundred chats at the new rate", lambda: len(due(changed)) > 100 or None, limit="15s")
    gaps = [b - a for a, b in itertools.pairwise(due(changed)[20:80])]
    assert max(gaps) - min(gaps) <= 1, "on an absolute schedule, rounded to the ns"
    assert gaps[0] == pytest.approx(5e6, abs=1)
    load.turn_to({"chat": 40})
    back = max(due(0))
    wait_for("chats at the rate of before", lambda: len(due(back)) > 20 or None, limit="15s")
    assert due(back)[-1] - due(back)[-2] == pytest.approx(25e6, abs=1)
    with pytest.raises(ConfigError, match="sql"):
        load.turn_to({"sql": 1})
    load.stop()
    assert_lawful(load)
