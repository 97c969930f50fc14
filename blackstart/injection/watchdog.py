"""The watchdog: a process of its own that cleans up after a test process that was killed.

It leads a session of its own, so that what ends the test process's group does not end it, and learns of the
death by the end of a pipe, which the kernel closes however that process died.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from blackstart.injection.journal import Entry, Journal
from blackstart.injection.lock import FileLock, RunLock
from blackstart.injection.state import RunRecord, boot_id, state_dir
from blackstart.model.errors import HarnessError, LockHeld, PlatformError
from blackstart.platforms.capabilities import is_left

#: Seconds until the process must be ready, and that it may take to clean up.
READY_S = 30.0
CLEAN_S = 30.0
#: After the death of the test process every fault is undone within 5 s: two tries of this many seconds.
UNDO_S = 4.0
#: A request that the test process sent just before its death may act on the engine so much later.
LATE_S = 0.5
#: The test process undoes a fault at its maximum duration; this much later the watchdog does.
OVERDUE_S = 10.0


def watched(run_id: str) -> bool:
    """Whether the run has a watchdog that lives."""
    return _watch_lock(run_id).held_elsewhere()


class Watchdog:
    """The test process's end: start it before anything is touched, `done` when all is cleaned up."""

    def __init__(
        self, run_id: str, process: subprocess.Popen[bytes], lock: RunLock, remove_stack: bool
    ) -> None:
        self.run_id = run_id
        self.remove_stack = remove_stack
        self._process, self._lock = process, lock

    @classmethod
    def start(cls, run_id: str, remove_stack: bool, engine: str = "") -> Watchdog:
        """Start watching this process on behalf of `run_id`; returns once the watchdog is ready.

        `remove_stack` says whether the run's containers, networks and volumes are to go with it; `engine` is
        the id of the engine they are on (`DockerPlatform.engine_id`): none other can heal the run later.
        Raises LockHeld if the run is alive elsewhere, PlatformError with the log if it does not get ready.
        """
        lock = RunLock(run_id)
        state_dir(run_id, create=True)
        lock.acquire()
        RunRecord(run_id, os.getpid(), boot_id(), remove_stack, engine).write()
        log = _log(run_id)
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "blackstart.injection.watchdog", run_id, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                start_new_session=True,
            )
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_S)
        if not readable or process.stdout.readline() != b"ready\n":
            process.kill()
            process.wait()
            lock.release()
            raise PlatformError(f"the watchdog did not start within {READY_S:.0f} s:\n{_tail(log)}")
        return cls(run_id, process, lock, remove_stack)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def keep_stack(self) -> None:
        """From now on the run's containers stay when it ends, however it does; its faults do not."""
        self.remove_stack = False
        record = RunRecord.read(self.run_id)
        if record is not None:
            dataclasses.replace(record, remove_stack=False).write()

    def done(self) -> None:
        """Say that this run is over. The watchdog looks itself, and undoes or removes what is left.

        Raises PlatformError, with what it said, if something is left even then. Idempotent.
        """
        if self._process.stdin is None or self._process.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"done\n")
            self._process.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            code = self._process.wait(CLEAN_S + 15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        problem = _tail(_log(self.run_id)) if code != 0 else ""
        if self._process.stdout is not None:
            self._process.stdout.close()
        if code == 0 and self.remove_stack:
            shutil.rmtree(state_dir(self.run_id), ignore_errors=True)
        self._lock.release()
        if code != 0:
            raise PlatformError(
                f"run {self.run_id} is not cleaned up; `blackstart heal` tries again:\n{problem}"
            )

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(self, *_: object) -> None:
        self.done()


def _watch_lock(run_id: str) -> FileLock:
    return FileLock(state_dir(run_id) / "watchdog.lock", f"the watchdog of run {run_id}")


def _log(run_id: str) -> Path:
    return state_dir(run_id) / "watchdog.log"


def _tail(log: Path, lines: int = 15) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""


# -- the watchdog's own process -----------------------------------------------------------------------


def watch(run_id: str, parent: int, platform: Any) -> bool:
    """Wait until the parent is done or dead, undoing what is overdue meanwhile; whether it was done."""
    stdin = sys.stdin.fileno()
    heard = b""
    while True:
        readable, _, _ = select.select([stdin], [], [], 1.0)
        if readable:
            data = os.read(stdin, 4096)
            heard += data
            if b"done\n" in heard:
                return True
            if not data:
                return False
        # Should a fork of the parent hold the pipe open, the orphan sees its new parent.
        if os.getppid() != parent:
            return False
        try:
            _undo_overdue(run_id, platform)
        except (HarnessError, OSError) as error:
            _say(f"cannot look for overdue faults: {error}")


def _undo_overdue(run_id: str, platform: Any) -> None:
    from blackstart.injection.heal import undo_entries
    from blackstart.injection.undoing import goes_first

    journal = Journal(run_id)
    overdue: list[Entry] = []
    for entry in reversed(journal.in_force()):
        late = entry.boot_id == boot_id() and entry.overdue_s > OVERDUE_S
        if late or any(goes_first(entry.undo, older.undo) for older in overdue):
            overdue.insert(0, entry)
    if overdue:
        undone, failed = undo_entries(overdue, journal, platform, by="watchdog", limit_s=UNDO_S)
        _say(*(f"overdue: {line}" for line in (*undone, *failed)))


def clean_up(run_id: str, platform: Any, deadline: float) -> bool:
    """Undo every fault in force and remove the stack if that is wanted; whether nothing is left.

    `deadline` is on the monotonic clock. A test process may have died while the engine was creating a
    container for it, which then turns up after the first look: twice nothing is nothing.
    """
    from blackstart.injection.heal import undo_entries

    journal = Journal(run_id)
    undone, failed = undo_entries(
        journal.in_force(), journal, platform, by="watchdog", limit_s=UNDO_S, late_s=LATE_S
    )
    _say(*undone, *failed)
    record = RunRecord.read(run_id)
    if record is None or not record.remove_stack:
        return not failed
    clean, tick, said = 0, 0.5, ""
    while clean < 2:
        try:
            # What the engine cannot let go of will not go however often it is tried.
            found = [name for name in platform.remove_run(run_id) if not is_left(name)]
            clean = 0 if found else clean + 1
        except HarnessError as error:
            clean = 0
            if str(error) != said:
                said = str(error)
                _say(f"not removed: {error}")
        if time.monotonic() > deadline:
            return False
        if clean < 2:
            select.select([], [], [], tick)
    _say(f"removed the stack of run {run_id}")
    # With its containers every fault is gone, also one that could not be undone.
    for entry in journal.in_force():
        journal.close(entry.id, by="watchdog")
    return True


def _platform() -> Any:
    from blackstart.platforms.docker import DockerPlatform
    from blackstart.platforms.engine import connect

    return DockerPlatform(connect(timeout_s=10))


def _say(*lines: str) -> None:
    for line in lines:
        print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def main(run_id: str, parent: int) -> int:
    """Watch, then clean up; 0 if nothing is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Everything that the clean-up needs is loaded and connected now, while all is well.
    import blackstart.injection.heal  # noqa: F401

    platform = _platform()
    with _watch_lock(run_id):
        os.write(1, b"ready\n")
        done = watch(run_id, parent, platform)
        deadline = time.monotonic() + CLEAN_S
        if done:
            return 0 if clean_up(run_id, platform, deadline) else 1
        _say(f"process {parent} of run {run_id} is gone: cleaning up")
        alive = RunLock(run_id)
        with contextlib.suppress(LockHeld):  # a fork of the dead process holds it: clean up all the same
            alive.acquire()
        try:
            clean = clean_up(run_id, platform, deadline)
            record = RunRecord.read(run_id)
            if clean and record is not None and record.remove_stack:
                shutil.rmtree(state_dir(run_id), ignore_errors=True)
        finally:
            alive.release()
        return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
