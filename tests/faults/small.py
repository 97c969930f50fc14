"""What the tests of faults on the small stack share: a fault from plan to undone, and what clients see."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import requests

from blackstart.faults import Fault, Undo
from blackstart.model.errors import BiteError
from blackstart.platforms.waiting import wait_for, wait_until
from blackstart.stack.running import RunningStack


@contextmanager
def injected(fault: Fault, small: RunningStack) -> Iterator[str]:
    """The fault in force, giving its bite; undone afterwards from what the journal would hold."""
    fault.validate(small.stack)
    undo = Undo.from_dict(json.loads(json.dumps(fault.plan(small).to_dict())))
    kind = type(fault)
    try:
        fault.inject(small, undo)
        bite = wait_for(
            f"bite of {fault.kind}", lambda: fault.bite(small, undo), limit=fault.bite_limit, error=BiteError
        )
        # What a supervisor brings back at once has ended by then; everything else is in force.
        assert fault.kind in ("kill", "restart") or kind.undone(undo, small.platform) is not None
        yield bite
    finally:
        kind.undo(undo, small.platform)
        wait_until("undone", lambda: kind.undone(undo, small.platform), limit=15)
    kind.undo(undo, small.platform)
    assert kind.undone(undo, small.platform) is None


def ready_s(small: RunningStack, instance: str = "web-1") -> float | None:
    """Seconds until the web service says that it reaches the store; None if it does not."""
    began = time.monotonic()
    try:
        answer = requests.get(small.url(instance, "http", "/health/ready"), timeout=3)
    except requests.RequestException:
        return None
    return time.monotonic() - began if answer.status_code == 200 else None


def well(small: RunningStack, instance: str = "web-1") -> None:
    wait_until(
        f"{instance} is ready",
        lambda: None if ready_s(small, instance) is not None else "not ready",
        limit=20,
    )


#: In front of every script: a connection to the store through the edge, and time.
_PRELUDE = """
import json, socket, time
def store(timeout=5):
    return socket.create_connection(("store-1", 6379), timeout=timeout)
def end(connection):
    "How a connection ends: what was read up to then, and the name of the error, if any."
    data = b""
    try:
        while part := connection.recv(65536): data += part
        return len(data), "closed"
    except OSError as error:
        return len(data), type(error).__name__
"""


def client(small: RunningStack, script: str, instance: str = "web-1", limit_s: float = 20.0) -> Any:
    """What `script` (Python, run beside the service) prints as JSON."""
    done = small.exec(instance, ["python3", "-c", _PRELUDE + script], limit_s)
    assert done.code == 0, done.output
    return json.loads(done.output.splitlines()[-1])


@contextmanager
def background(small: RunningStack, instance: str, script: str | Sequence[str]) -> Iterator[Iterator[bytes]]:
    """A script as for `client`, or a command, run meanwhile; gives what it prints, piece by piece."""
    argv = ["python3", "-c", _PRELUDE + script] if isinstance(script, str) else list(script)
    api = small.platform.client.api
    job = api.exec_create(small.container(instance), argv)["Id"]
    stream = api.exec_start(job, stream=True, socket=False)
    try:
        yield stream
    finally:
        stream.close()
