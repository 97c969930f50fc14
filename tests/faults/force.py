"""A fault in force on a running stack, for as long as a test looks at what it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from blackstart.faults import Fault, Undo
from blackstart.injection.expiry import arm
from blackstart.platforms.waiting import wait_for, wait_until
from blackstart.stack.running import RunningStack


def _record(fault: Fault, running: RunningStack) -> Undo:
    """The plan as another process reads it."""
    fault.validate(running.stack)
    return Undo.from_dict(json.loads(json.dumps(fault.plan(running).to_dict())))


@contextmanager
def in_force(fault: Fault, running: RunningStack) -> Iterator[str]:
    """Gives the bite; at the end the fault is undone from its record alone, twice, and seen to be."""
    undo, kind = _record(fault, running), type(fault)
    try:
        fault.inject(running, undo)
        bite = wait_for(f"bite of {fault.kind}", lambda: fault.bite(running, undo), limit=fault.bite_limit)
        assert fault.undone(undo, running.platform) is not None, "it is seen to be in force"
        yield bite
    finally:
        kind.undo(undo, running.platform)
        wait_until(f"{fault.kind} undone", lambda: kind.undone(undo, running.platform), limit=fault.grace)
        kind.undo(undo, running.platform)


def ends_in_place(fault: Fault, running: RunningStack) -> None:
    """Injected and left alone, the fault is ended by its helper."""
    assert fault.expires_in_place
    undo, kind = _record(fault, running), type(fault)
    try:
        fault.inject(running, undo)
        wait_for(f"bite of {fault.kind}", lambda: fault.bite(running, undo), limit=fault.bite_limit)
        arm(undo, running.platform, 0.5)
        wait_until(f"{fault.kind} ends by itself", lambda: kind.undone(undo, running.platform), limit=10)
    finally:
        kind.undo(undo, running.platform)
