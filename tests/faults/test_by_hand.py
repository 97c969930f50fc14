"""What a person is told to run when an undo fails: it undoes the fault."""

from __future__ import annotations

import json
import subprocess

import pytest

from blackstart.faults import Fault, Undo
from blackstart.platforms.waiting import wait_for, wait_until
from blackstart.stack.provision import reset
from blackstart.stack.running import RunningStack
from tests.faults.catalogue import ON_SMALL

pytestmark = pytest.mark.integration

#: What is to be made anew is made by `blackstart heal`, which their commands name.
BY_HEAL = {"node_kill", "instances_lost"}


@pytest.mark.parametrize("fault", [f for kind, f in ON_SMALL.items() if kind not in BY_HEAL], ids=str)
def test_the_manual_command_undoes_the_fault(fault: Fault, small: RunningStack) -> None:
    fault.validate(small.stack)
    undo = Undo.from_dict(json.loads(json.dumps(fault.plan(small).to_dict())))
    try:
        fault.inject(small, undo)
        wait_for(f"bite of {fault.kind}", lambda: fault.bite(small, undo), limit=fault.bite_limit)
        ran = subprocess.run(["bash", "-c", undo.manual], capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, f"{undo.manual}: {ran.stderr}"
        wait_until("undone", lambda: type(fault).undone(undo, small.platform), limit=fault.grace)
    finally:
        type(fault).undo(undo, small.platform)
        reset(small, "30s")
