"""The Docker engine goes away in the middle of a drill, seen through a socket of ours that then closes."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.engine import endpoint
from blackstart.platforms.waiting import wait_for
from tests.drill.test_life_cycle import Run

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Relay:
    """A socket that passes everything on to the engine until it is cut."""

    def __init__(self, path: Path, engine: str) -> None:
        self.address = f"unix://{path}"
        self._engine = engine
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(64)
        self._open: list[socket.socket] = []
        self._path = path
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection and accept no other; idempotent."""
        self._path.unlink(missing_ok=True)
        for each in (self._server, *self._open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(self._engine)
            self._open += (client, engine)
            threading.Thread(target=_pass_on, args=(client, engine), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    peer = {one: other, other: one}
    with one, other:
        while True:
            for ready in select.select([one, other], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                peer[ready].sendall(data)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    engine = endpoint()
    if not engine.startswith("unix://"):
        pytest.fail(f"the engine at {engine} has no socket to stand before")
    relay = Relay(tmp_path / "engine.sock", engine.removeprefix("unix://"))
    yield relay
    relay.cut()


def test_it_is_said_what_is_not_undone_and_heal_undoes_it_later(
    tmp_path: Path, platform: DockerPlatform, relay: Relay
) -> None:
    run = Run(tmp_path, "test_store_held_briefly", DOCKER_HOST=relay.address)
    try:
        wait_for("the fault to be in force", run.fault_began, limit="90s")
        relay.cut()
        code, out = run.finish(240)
        assert code == 3, out
        assert "NOT undone" in out, out
        assert "the Docker engine does not answer" in out, out
        assert "docker unpause" in out, "the command by which a person undoes it"
        assert (run.trial() / "history.jsonl").stat().st_size > 0, "the history is kept"
        assert "Traceback" not in out, out
        assert platform.is_paused(f"bs-{run.run_id}-store-1"), "else nothing was left to undo"
        healed = subprocess.run(
            [sys.executable, "-m", "blackstart", "heal"],
            env={**run.environment, "DOCKER_HOST": os.environ.get("DOCKER_HOST", "")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert healed.returncode == 0, healed.stderr
        assert platform.list(run.run_id) == []
    finally:
        if run.process.poll() is None:
            run.process.kill()
        run.process.communicate()
        platform.remove_run(run.run_id)
