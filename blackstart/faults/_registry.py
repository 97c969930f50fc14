"""The registry of faults: each kind registers itself; journals and plans name them by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from blackstart.faults.base import Fault
from blackstart.model.errors import ConfigError

F = TypeVar("F", bound=Fault)

#: Every known fault by its kind.
REGISTRY: dict[str, type[Fault]] = {}


def register(cls: type[F]) -> type[F]:
    """Class decorator: make the fault known under its `kind`. ConfigError if another has it."""
    if REGISTRY.setdefault(cls.kind, cls) is not cls:
        raise ConfigError(f"two faults are called {cls.kind!r}")
    return cls


def fault_type(kind: str) -> type[Fault]:
    """The class of the faults of `kind`; ConfigError names the known ones."""
    try:
        return REGISTRY[kind]
    except KeyError:
        raise ConfigError(f"unknown fault {kind!r}; known: {', '.join(sorted(REGISTRY))}") from None


def fault_from_dict(data: Mapping[str, Any]) -> Fault:
    """The reverse of `Fault.to_dict`; ConfigError for an unknown kind or parameter names the valid ones."""
    params = dict(data)
    cls = fault_type(str(params.pop("kind", None)))
    known = [f.name for f in fields(cls)]
    if unknown := [name for name in params if name not in known]:
        raise ConfigError(
            f"fault {cls.kind!r} has no parameter {', '.join(map(repr, unknown))}; it has: {', '.join(known)}"
        )
    try:
        return cls(**params)
    except TypeError as error:
        raise ConfigError(f"fault {cls.kind!r}: {error}; its parameters: {', '.join(known)}") from None
