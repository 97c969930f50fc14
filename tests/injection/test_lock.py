"""Locks name their holder and die with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from blackstart.injection.lock import RunLock, StackLock
from blackstart.model.errors import LockHeld

HOLD = """
import sys
from blackstart.injection.lock import StackLock
StackLock("sample").acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_stack_is_for_one_run_at_a_time() -> None:
    with StackLock("sample"):
        with pytest.raises(LockHeld, match=r"stack 'sample' is in use by process \d+, since"):
            StackLock("sample").acquire()
        with StackLock("other/stack"):
            pass
    with StackLock("sample") as lock:
        lock.acquire()


def test_a_lock_dies_with_its_holder_even_by_kill_9() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeld, match=f"process {holder.pid}"):
            StackLock("sample").acquire()
    finally:
        holder.kill()
        holder.communicate()
    with StackLock("sample"):
        pass


def test_a_run_is_alive_while_its_lock_is_held() -> None:
    assert not RunLock("r1").held_elsewhere(), "a run that left nothing"
    with RunLock("r1"):
        assert RunLock("r1").held_elsewhere()
    assert not RunLock("r1").held_elsewhere()
