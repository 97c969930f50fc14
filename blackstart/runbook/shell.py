"""Steps of a runbook in one bash, as a person would go down the page in one shell.

Variables carry over from step to step; `set -euo pipefail` holds at the begin of each. A step's status is
that of its last command. Nothing can be typed in.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blackstart.model.errors import HarnessError
from blackstart.model.recovery import EXIT, LIMIT, STOP
from blackstart.runbook.parse import Block

#: Of what a step says so many bytes are kept, its last.
KEPT = 64 * 1024
#: Seconds between two looks around, and what a shell gets to clean up before it is killed.
_EVERY_S, _GRACE_S = 0.05, 2.0
#: Bytes at a time, and how many times at most once the shell is gone: more than any pipe holds.
_CHUNK, _LAST_CHUNKS = 1 << 16, 32
#: Where bash tells how far it is: above what scripts use themselves, lest `exec 9>lock` takes it away.
_LOWEST_FD = 100
#: Longer than a mark, which two reads may tear.
_MARK = 64


@dataclass(frozen=True)
class Done:
    """How a step ended: its exit status (None where it was ended from outside) and the last of what it said.

    `cut` tells how it was cut short, "" if it was not: EXIT, LIMIT or STOP.
    """

    block: Block
    exit: int | None
    output: str
    cut: str = ""


class Shell:
    """One bash that does `blocks` in order and stops at the first that fails; a process group of its own.

    `begun` and `ended` are called as it happens, from `run`'s thread. `pulse` is called about twenty times a
    second; what it raises ends the shell, as Ctrl-C does. What the steps left in the background ends with the
    shell. Should this process die, the step under way goes on to its end, and no further one begins.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        begun: Callable[[Block], None],
        ended: Callable[[Done], None],
        pulse: Callable[[], None],
    ) -> None:
        self._blocks, self._begun, self._ended, self._pulse = tuple(blocks), begun, ended, pulse
        self._token = secrets.token_hex(8)
        self._mark = re.compile(rf"\x1e{self._token} (begin|end) (\d+)\n".encode())
        self._open: int | None = None
        self._torn, self._said = b"", b""

    def run(self, folder: Path, env: Mapping[str, str], limit_s: float) -> None:
        """Do the steps in `folder`, all together within `limit_s` seconds; HarnessError without a bash."""
        read, write = os.pipe()
        marks = fcntl.fcntl(write, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FD)
        try:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-c", self._script(marks)],
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                pass_fds=(marks,),
                start_new_session=True,
            )
        except OSError as error:
            os.close(read)
            raise HarnessError(f"a runbook is followed by bash, which does not start: {error}") from error
        finally:
            os.close(write)
            os.close(marks)
        os.set_blocking(read, False)
        cut = STOP
        try:
            cut = self._watch(process, read, time.monotonic() + limit_s)
        finally:
            _end(process)
            try:
                self._drain(read)
            finally:
                os.close(read)
                outside = self._close(process.returncode, cut)
        if outside:
            said = self._said.decode(errors="replace").strip()
            raise HarnessError(f"bash ended outside of any step, status {process.returncode}: {said[-500:]}")

    def _script(self, marks: int) -> str:
        """`eval` keeps what is wrong with one step from the others; it is no condition, so `set -e` holds."""
        lines = []
        for number, block in enumerate(self._blocks):
            lines += [
                "set -euo pipefail",
                rf"printf '\036{self._token} begin {number}\n' >&{marks}",
                f"eval {shlex.quote(block.code)}",
                # Where the step has switched `-e` off, its last status counts.
                "blackstart_status=$?",
                '[ "$blackstart_status" = 0 ] || exit "$blackstart_status"',
                rf"printf '\036{self._token} end {number}\n' >&{marks}",
            ]
        return "\n".join(lines)

    def _watch(self, process: subprocess.Popen[bytes], read: int, deadline: float) -> str:
        """Until the shell has ended, or has to; how it was cut short."""
        with selectors.DefaultSelector() as selector:
            selector.register(read, selectors.EVENT_READ)
            while process.poll() is None:
                self._pulse()
                if self._open is not None and time.monotonic() >= deadline:
                    return LIMIT
                if selector.select(_EVERY_S):
                    if not (chunk := os.read(read, _CHUNK)):
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            process.wait(_GRACE_S)
                        break
                    self._take(chunk)
        return ""

    def _drain(self, read: int) -> None:
        """What was said and not read yet; a process that got away may say more, which is nobody's."""
        for _ in range(_LAST_CHUNKS):
            try:
                chunk = os.read(read, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                return
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        """Marks and what is said come down one pipe, in order, so that each step has its own words."""
        data, at = self._torn + chunk, 0
        for mark in self._mark.finditer(data):
            self._say(data[at : mark.start()])
            at = mark.end()
            if mark[1] == b"begin":
                self._open, self._said = int(mark[2]), b""
                self._begun(self._blocks[self._open])
            else:
                self._finish(0)
        torn = data.rfind(b"\x1e", max(at, len(data) - _MARK))
        cut = len(data) if torn < 0 else torn
        self._torn = data[cut:]
        self._say(data[at:cut])

    def _say(self, data: bytes) -> None:
        self._said = (self._said + data)[-KEPT:]

    def _finish(self, status: int | None, cut: str = "") -> None:
        assert self._open is not None
        block, self._open = self._blocks[self._open], None
        # Half a line may be half a secret, which nobody would recognize.
        whole = self._said if len(self._said) < KEPT else self._said.partition(b"\n")[2]
        self._ended(Done(block, status, whole.decode(errors="replace"), cut))

    def _close(self, status: int, cut: str) -> bool:
        """Tell how the step ended that did not come to its end; True if the shell failed outside of any."""
        self._say(self._torn)
        if self._open is None:
            return bool(status) and not cut
        if cut:
            self._finish(None, cut)
        else:
            left = self._open < len(self._blocks) - 1
            # As shells tell of a signal.
            self._finish(128 - status if status < 0 else status, EXIT if left and not status else "")
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole group: first asked, as a shell may have something to clean up, then killed."""
    try:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    finally:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # Nobody of the group may be left, or, as on macOS, only what is not reaped yet.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
