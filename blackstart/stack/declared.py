"""Finds the stacks that a project declares: `[tool.blackstart] stack = "sut.stack:stack"` is its first,
each line of `[tool.blackstart.stacks]`, as `other = "sut.other:stack"`, another.
"""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

from blackstart.model.errors import ConfigError
from blackstart.model.stack import Stack

_HOW = 'declare it in pyproject.toml: [tool.blackstart] stack = "package.module:name"'


def stack_names(root: Path) -> tuple[str, ...]:
    """What `load_stack` takes for the project in `root`: "" for its first stack, then the others, sorted.

    Raises ConfigError without a pyproject.toml, or if what it says of stacks is malformed.
    """
    return tuple(sorted(_declared(root)))


def load_stack(root: Path, name: str = "") -> Stack:
    """The stack `name` of the project in `root`; "" is that of `[tool.blackstart] stack`.

    Any other stands under `[tool.blackstart.stacks]` and is called there as it calls itself, so that one name
    means one stack in drills, commands, reports and locks. Raises ConfigError that says how to declare one,
    or which names there are.
    """
    file, declared = root / "pyproject.toml", _declared(root)
    if name not in declared:
        if not name:
            raise ConfigError(f"{file} names no stack: {_HOW}")
        others = ", ".join(known for known in sorted(declared) if known) or "none"
        raise ConfigError(f"no stack {name!r} under [tool.blackstart.stacks] in {file}; there are: {others}")
    found = _load(file, declared[name], root)
    if name and found.name != name:
        raise ConfigError(
            f"{file}: stack {name!r} calls itself {found.name!r}: reports and locks go by that name, so give "
            f'it the same, Stack(name="{name}")'
        )
    if not name and found.name in declared:
        raise ConfigError(
            f"{file}: {found.name!r} under [tool.blackstart.stacks] is what [tool.blackstart] stack calls "
            "itself: rename one"
        )
    return found


def _declared(root: Path) -> dict[str, str]:
    """`module:attribute` by name, "" for the project's first stack."""
    file = root / "pyproject.toml"
    if not file.exists():
        raise ConfigError(f"no pyproject.toml in {root}: {_HOW}")
    told: dict[str, Any] = tomllib.loads(file.read_text()).get("tool", {}).get("blackstart", {})
    others = told.get("stacks", {})
    if not isinstance(others, dict):
        raise ConfigError(f'{file}: [tool.blackstart] stacks is no table: write name = "package.module:name"')
    for name, place in others.items():
        if not name or not _is_place(place):
            raise ConfigError(
                f"{file}: [tool.blackstart.stacks] {name or '(no name)'} = {place!r}: "
                'write name = "package.module:name"'
            )
    declared: dict[str, str] = dict(others)
    if _is_place(told.get("stack")):
        declared[""] = told["stack"]
    return declared


def _is_place(told: object) -> bool:
    return isinstance(told, str) and told.count(":") == 1


def _load(file: Path, place: str, root: Path) -> Stack:
    module, attribute = place.split(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{file}: cannot load the stack {place!r}: {error}") from error
    if not isinstance(found, Stack):
        raise ConfigError(f"{file}: {place!r} is a {type(found).__name__}, not a blackstart Stack")
    return found
