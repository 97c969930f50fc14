"""Finds the stack that a project declares: `[tool.blackstart] stack = "sut.stack:stack"`."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path

from blackstart.model.errors import ConfigError
from blackstart.model.stack import Stack


def load_stack(root: Path) -> Stack:
    """The stack declared by the `pyproject.toml` in `root`; ConfigError says how to declare one."""
    file = root / "pyproject.toml"
    how = 'declare it in pyproject.toml: [tool.blackstart] stack = "package.module:name"'
    if not file.exists():
        raise ConfigError(f"no pyproject.toml in {root}: {how}")
    named = tomllib.loads(file.read_text()).get("tool", {}).get("blackstart", {}).get("stack")
    if not isinstance(named, str) or named.count(":") != 1:
        raise ConfigError(f"{file} names no stack: {how}")
    module, attribute = named.split(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{file}: cannot load the stack {named!r}: {error}") from error
    if not isinstance(found, Stack):
        raise ConfigError(f"{file}: {named!r} is a {type(found).__name__}, not a blackstart Stack")
    return found
