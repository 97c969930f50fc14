"""Where runs keep what must survive their own death; one folder a run, private to the user."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from blackstart.model.errors import ConfigError, HarnessError


def state_root() -> Path:
    """`$BLACKSTART_STATE`, else `blackstart` in `$XDG_STATE_HOME` or `~/.local/state`."""
    if given := os.environ.get("BLACKSTART_STATE"):
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "blackstart"


def state_dir(run_id: str, *, create: bool = False) -> Path:
    """The folder of a run; ConfigError if the id is no plain name, HarnessError if it cannot be made."""
    if not run_id or run_id in (".", "..") or set(run_id) & set("/\\\0"):
        raise ConfigError(f"not a run id: {run_id!r}")
    folder = state_root() / run_id
    if create:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HarnessError(f"cannot keep state in {folder}: {error.strerror or error}") from error
    return folder


def file_name(name: str) -> str:
    """`name`, of a stack say, with what has no place in the name of a file made an underscore."""
    return re.sub(r"[^\w.-]", "_", name)


def runs() -> tuple[str, ...]:
    """Ids of all runs that have left a folder here, oldest name first."""
    root = state_root()
    if not root.is_dir():
        return ()
    return tuple(
        sorted(p.name for p in root.iterdir() if (p / "run.json").exists() or (p / "journal.jsonl").exists())
    )


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run: whose it is, whether its stack is to go with it, and where that runs.

    `engine` is the id of the container engine, empty where it was not told.
    """

    run_id: str
    pid: int
    boot_id: str
    remove_stack: bool
    engine: str = ""

    def write(self) -> None:
        """Keep the record, replacing an earlier one whole."""
        folder = state_dir(self.run_id, create=True)
        fresh = folder / "run.json.new"
        try:
            with fresh.open("w") as file:
                json.dump(asdict(self), file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(folder / "run.json")
        except OSError as error:
            raise HarnessError(f"cannot keep state in {folder}: {error.strerror or error}") from error

    @classmethod
    def read(cls, run_id: str) -> RunRecord | None:
        """The record of a run, None if there is none that can be read."""
        try:
            return cls(**json.loads((state_dir(run_id) / "run.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None


@cache
def boot_id() -> str:
    """Tells one boot of this machine from the next: pids and monotonic clocks mean nothing across them."""
    linux = Path("/proc/sys/kernel/random/boot_id")
    if linux.exists():
        return linux.read_text().strip()
    if sys.platform == "darwin":
        asked = subprocess.run(
            ["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False
        )
        return asked.stdout.strip() or "unknown"
    return "unknown"
