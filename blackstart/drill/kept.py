"""A stack that `blackstart up` or `--chaos-keep-stack` left running, to be used by the next run."""

from __future__ import annotations

import json

from blackstart.injection.state import state_root
from blackstart.model.errors import HarnessError
from blackstart.model.stack import Stack
from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.running import RunningStack


def remember(running: RunningStack) -> None:
    """Record that this stack may be used again."""
    path = state_root() / "kept.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"run_id": running.run_id, "stack": running.stack.name}))


def forget() -> None:
    """Forget the kept stack, if any."""
    (state_root() / "kept.json").unlink(missing_ok=True)


def find(stack: Stack, platform: DockerPlatform) -> RunningStack | None:
    """The kept stack if it is there and is this one; a stale record is forgotten."""
    try:
        record = json.loads((state_root() / "kept.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if record.get("stack") != stack.name:
        return None
    try:
        return RunningStack.find(stack, str(record["run_id"]), platform)
    except HarnessError:
        forget()
        return None
