"""Locks that die with their holder: one run at a time on a stack, and a run's own sign of life."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from blackstart.injection.state import boot_id, file_name, state_dir, state_root
from blackstart.model.errors import HarnessError, LockHeld


class FileLock:
    """A `flock` on a file that says who holds it. The kernel frees it when the holder dies, however."""

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take it, or raise LockHeld naming the holder; a second call is a no-op."""
        if self._handle is not None:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HarnessError(f"cannot lock {self.what}: {self.path}: {error.strerror or error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise LockHeld(f"{self.what} is in use by {self._holder()}") from None
        os.ftruncate(handle, 0)
        mine = {"pid": os.getpid(), "boot_id": boot_id(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.write(handle, json.dumps(mine).encode())
        self._handle = handle

    def release(self) -> None:
        """Give it back; idempotent."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def held_elsewhere(self) -> bool:
        """Whether a live process other than this object holds it."""
        if self._handle is not None or not self.path.exists():
            return False
        try:
            self.acquire()
        except LockHeld:
            return True
        self.release()
        return False

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _holder(self) -> str:
        holder: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            holder = json.loads(self.path.read_text())
        if holder.get("boot_id") != boot_id():
            return f"another process (see {self.path})"
        return f"process {holder.get('pid')}, since {holder.get('since')}"


class StackLock(FileLock):
    """The lock of a stack, by its name: two runs never share one. Use as a context manager, or acquire."""

    def __init__(self, stack: str) -> None:
        super().__init__(state_root() / "locks" / f"{file_name(stack)}.lock", f"stack {stack!r}")


class RunLock(FileLock):
    """A run's sign of life: held by its process, and by its watchdog while that cleans up."""

    def __init__(self, run_id: str) -> None:
        super().__init__(state_dir(run_id) / "alive.lock", f"run {run_id}")
