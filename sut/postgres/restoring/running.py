"""Which of these programs run on this host, and the end of those that whoever called them has left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .base import RUN, Failed, say, until

_STOP_LIMIT_S = 10.0


def lead() -> None:
    """Have this program lead a process group, in which its pgBackRest is as well."""
    # One that is run inside a container from outside does already.
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)


@contextmanager
def noted(folder: Path) -> Iterator[None]:
    """Note in `folder` that this program runs."""
    note = folder / f"{os.getpid()}.running"
    note.touch()
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def end_restores(words: Sequence[str]) -> None:
    """end-restores: end the restores and verifications that run on this host; what they have done stays"""
    if words:
        raise Failed("end-restores takes no arguments")
    ended = [note for note in sorted(RUN.glob("*.running")) if end(note)]
    say(f"{len(ended)} programs were ended")


def end(note: Path) -> bool:
    """End the program of a note, with what it runs; whether there was one. Raises Failed."""
    pid = int(note.stem)
    there = _is_restoring(pid)
    if there:
        try:
            _end(pid, signal.SIGTERM)
        except Failed:
            _end(pid, signal.SIGKILL)
    note.unlink(missing_ok=True)
    return there


def _end(leader: int, by: signal.Signals) -> None:
    """Send the signal to a process group, and wait until nothing of it runs. Raises Failed."""
    with suppress(ProcessLookupError):
        os.killpg(leader, by)
    until("the end of a restore", lambda: "it runs" if _runs(leader) else None, _STOP_LIMIT_S)


def _runs(leader: int) -> bool:
    """Whether anything of a process group runs: pgBackRest may take longer to end than who called it."""
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            # It may have ended meanwhile; what nobody has waited for yet has no words any more.
            with suppress(OSError):
                if os.getpgid(int(path.name)) == leader and (path / "cmdline").read_bytes():
                    return True
    return False


def _is_restoring(pid: int) -> bool:
    """Whether the process is one of these programs: after a restart another may have its number."""
    try:
        return b"restoring" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
