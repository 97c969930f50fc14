"""The registry of faults: each kind registers itself; journals and plans name them by kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints

from blackstart.faults.base import Fault
from blackstart.model.errors import ConfigError

F = TypeVar("F", bound=Fault)
P = ParamSpec("P")

#: Every known fault by its kind, and what drills call to make one.
REGISTRY: dict[str, type[Fault]] = {}
CONSTRUCTORS: dict[str, Callable[..., Fault]] = {}


def register(cls: type[F]) -> type[F]:
    """Class decorator: make the fault known under its `kind`. ConfigError if another has it."""
    if REGISTRY.setdefault(cls.kind, cls) is not cls:
        raise ConfigError(f"two faults are called {cls.kind!r}")
    return cls


def constructor(make: Callable[P, F]) -> Callable[P, F]:
    """Function decorator: a wrong parameter is answered with ConfigError that names the valid ones."""
    own = inspect.signature(make).parameters.values()
    known = [p.name for p in own if p.kind is not p.VAR_KEYWORD]
    # What all faults of its family take, as **options.
    known += [f.name for f in fields(get_type_hints(make)["return"]) if f.kw_only]

    @wraps(make)
    def checked(*args: P.args, **kwargs: P.kwargs) -> F:
        if unknown := [name for name in kwargs if name not in known]:
            wrong = ", ".join(map(repr, unknown))
            raise ConfigError(f"{make.__name__}() has no parameter {wrong}; it has: {', '.join(known)}")
        try:
            return make(*args, **kwargs)
        except TypeError as error:
            raise ConfigError(f"{error}; parameters of {make.__name__}(): {', '.join(known)}") from None

    CONSTRUCTORS[make.__name__] = checked
    return checked


def fault_type(kind: str) -> type[Fault]:
    """The class of the faults of `kind`; ConfigError names the known ones."""
    try:
        return REGISTRY[kind]
    except KeyError:
        close = get_close_matches(kind, REGISTRY, n=1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        raise ConfigError(f"unknown fault {kind!r}{meant}; known: {', '.join(sorted(REGISTRY))}") from None


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
