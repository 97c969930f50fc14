"""A stack that `blackstart up` or `--chaos-keep-stack` left running, to be used by the next run."""

from __future__ import annotations

import json
from collections.abc import Mapping

from blackstart.injection.state import state_root
from blackstart.model.errors import ConfigError, HarnessError
from blackstart.model.stack import Stack
from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.running import RunningStack, fingerprint


def remember(running: RunningStack, tags: Mapping[str, str]) -> None:
    """Record that this stack, made from the images `tags`, may be used again."""
    path = state_root() / "kept.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"run_id": running.run_id, "stack": running.stack.name}
    path.write_text(json.dumps({**record, "made_from": fingerprint(running.stack, tags)}))


def forget() -> None:
    """Forget the kept stack, if any."""
    (state_root() / "kept.json").unlink(missing_ok=True)


def find(
    stack: Stack, platform: DockerPlatform, tags: Mapping[str, str] | None = None
) -> RunningStack | None:
    """The kept stack if it is there and is this one; a stale record is forgotten.

    With `tags`, raises ConfigError if it was made from other images or another declaration.
    """
    try:
        record = json.loads((state_root() / "kept.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if record.get("stack") != stack.name:
        return None
    try:
        found = RunningStack.find(stack, str(record["run_id"]), platform)
    except HarnessError:
        forget()
        return None
    if tags is not None and record.get("made_from") != fingerprint(stack, tags):
        raise ConfigError(
            f"the stack that run {found.run_id} left running was made from other files than are here now: "
            "remove it (`blackstart down`), then run again"
        )
    return found
