"""Stacks that `blackstart up` or `--chaos-keep-stack` left running, to be used by the next run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blackstart.injection.state import file_name, state_root
from blackstart.model.errors import ConfigError, HarnessError
from blackstart.model.stack import Stack
from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.running import RunningStack, fingerprint


def remember(running: RunningStack, tags: Mapping[str, str]) -> None:
    """Record that this stack, made from the images `tags`, may be used again."""
    path = _path(running.stack.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"run_id": running.run_id, "stack": running.stack.name}
    path.write_text(json.dumps({**record, "made_from": fingerprint(running.stack, tags)}))


def forget(stack: str) -> None:
    """Forget the kept stack of that name, if any."""
    _path(stack).unlink(missing_ok=True)


def remembered() -> dict[str, str]:
    """Run ids by the names of the kept stacks, sorted; such a run may have been removed since."""
    records = [_read(path) for path in sorted(_folder().glob("*.json"))]
    return {str(record["stack"]): str(record["run_id"]) for record in records if record}


def others(stack: Stack, platform: DockerPlatform) -> dict[str, str]:
    """Run ids by name of the kept stacks beside this one of which containers are there."""
    return {
        name: run_id for name, run_id in remembered().items() if name != stack.name and platform.list(run_id)
    }


def find(
    stack: Stack, platform: DockerPlatform, tags: Mapping[str, str] | None = None
) -> RunningStack | None:
    """The kept stack if it is there and is this one; a stale record is forgotten.

    With `tags`, raises ConfigError if it was made from other images or another declaration.
    """
    record = _read(_path(stack.name))
    if record.get("stack") != stack.name:
        return None
    try:
        found = RunningStack.find(stack, str(record["run_id"]), platform)
    except HarnessError:
        forget(stack.name)
        return None
    if tags is not None and record.get("made_from") != fingerprint(stack, tags):
        raise ConfigError(
            f"the stack that run {found.run_id} left running was made from other files than are here now: "
            f"remove it (`blackstart down {found.run_id}`), then run again"
        )
    return found


def _folder() -> Path:
    return state_root() / "kept"


def _path(stack: str) -> Path:
    return _folder() / f"{file_name(stack)}.json"


def _read(path: Path) -> dict[str, Any]:
    """The record; empty if there is none that can be read."""
    try:
        record = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return record if isinstance(record, dict) and {"stack", "run_id"} <= record.keys() else {}
