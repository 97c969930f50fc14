"""Templates of operations: `{session}`, `{id}` and friends inside paths, headers and JSON bodies."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from blackstart.model.errors import ConfigError

NAMES = ("run", "session", "id", "seq", "prompt")
"""What a template may name: the run's token, the key, the operation's id, its number, a unique prompt."""

_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}")

_TEXT = """
ledger replica quorum standby failover lease epoch timeline journal backlog shard vacuum index socket
proxy breaker cache stream token vector graph checkpoint drill runbook pager alert budget latency window
"""
_WORDS = _TEXT.split()

Render = Callable[[Mapping[str, str]], str]


def check(template: str, where: str) -> str:
    """Return `template`; raise ConfigError, listing the valid names, if it names anything else."""
    for name in _HOLE.findall(template):
        if name not in NAMES:
            raise ConfigError(
                f"{where}: unknown {{{name}}}; valid are {', '.join(f'{{{n}}}' for n in NAMES)}"
            )
    return template


def check_json(value: Any, where: str) -> None:
    """`check` every string inside a JSON value, the names of objects too."""
    if isinstance(value, str):
        check(value, where)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            check(name, where)
            check_json(each, where)
    elif isinstance(value, list | tuple):
        for each in value:
            check_json(each, where)


def compile_text(template: str) -> Render:
    """A function that fills `template` in from the values of `NAMES`."""
    parts = _HOLE.split(template)
    if len(parts) == 1:
        return lambda values: template
    pieces = [(part, index % 2 == 1) for index, part in enumerate(parts)]
    return lambda values: "".join(values[part] if named else part for part, named in pieces)


def compile_json(value: Any) -> Render:
    """A function that gives the JSON text of `value` with the strings inside it filled in.

    Values are escaped for JSON, so a prompt may hold quotes.
    """
    render = compile_text(orjson.dumps(value).decode())
    return lambda values: render({name: orjson.dumps(text).decode()[1:-1] for name, text in values.items()})


class Prompts:
    """Prompts that never repeat within a run nor between runs: a repeated one would be served by a cache.

    The words come from the seed, the uniqueness from the run's token and the number.
    """

    def __init__(self, run: str, seed: int) -> None:
        self._run, self._random = run, random.Random(seed)

    def take(self, seq: int) -> str:
        """The prompt of operation number `seq`."""
        words = " ".join(self._random.choices(_WORDS, k=8))
        return f"Question {seq} of {self._run}: how do {words} work together?"
