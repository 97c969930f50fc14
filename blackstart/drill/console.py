"""Progress of long work: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import select
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

from rich.console import Console

from blackstart.model.errors import ConfigError


class Progress:
    """Says what is being done, with seconds since the start of the session.

    `say` is for steps, `tick` for a line that changes (only shown on a terminal).
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self._ticking = False
        self._inside = False

    def fresh_line(self) -> None:
        """Begin the next step on a line of its own: pytest has written to the one it would join."""
        self._inside = True

    def say(self, text: str) -> None:
        """Print one step."""
        self._clear()
        if self._inside:
            self._inside = False
            self._console.print()
        elapsed = time.monotonic() - self._started
        self._console.print(f"[dim]{elapsed:6.1f}s[/dim]  {_escape(text)}")

    def tick(self, text: str) -> None:
        """Show `text` on the line that changes; silent where there is no terminal."""
        if not self._console.is_terminal:
            return
        width = max(20, self._console.width - 12)
        self._console.file.write(f"\r\x1b[2K         {text[:width]}")
        self._console.file.flush()
        self._ticking = True

    def _clear(self) -> None:
        if self._ticking:
            self._console.file.write("\r\x1b[2K")
            self._ticking = False


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


def wait_for_enter(stop: threading.Event) -> None:
    """Wait for Enter on the terminal itself, pytest has taken stdin away, or for `stop`.

    ConfigError where there is no terminal.
    """
    try:
        with Path("/dev/tty").open() as terminal:
            while not stop.is_set():
                if select.select([terminal], [], [], 0.2)[0]:
                    terminal.readline()
                    return
    except OSError as error:
        raise ConfigError(f"--chaos-step needs a terminal: {error}") from error
