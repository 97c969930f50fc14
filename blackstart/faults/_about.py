"""What is told of a fault, taken from its class and docstrings: nothing is written twice."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, get_args, get_type_hints, is_typeddict

from blackstart.faults._registry import CONSTRUCTORS, fault_type
from blackstart.faults.base import Fault
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode


@dataclass(frozen=True)
class Parameter:
    """A parameter: its type as annotated, its default as written (None: required), what is said of it."""

    name: str
    type: str
    default: str | None
    says: str


@dataclass(frozen=True)
class About:
    """A kind of fault in words. `example` is a call, `prototype` the fault that the call makes."""

    kind: str
    mode: Mode
    summary: str
    details: str
    parameters: tuple[Parameter, ...]
    capabilities: tuple[str, ...]
    expires_in_place: bool
    undo: str
    example: str
    prototype: Fault

    @property
    def in_place(self) -> str:
        """Whether it ends by itself, in words."""
        if self.expires_in_place:
            return "yes, by itself, at its place, should harness and watchdog both be gone"
        if not self.prototype.reversible:
            return "there is nothing to end"
        return "no; with harness and watchdog both gone it stays until `blackstart heal`"

    def to_dict(self) -> dict[str, Any]:
        """As `blackstart faults --json` prints it."""
        return {
            "kind": self.kind,
            "mode": self.mode.value,
            "summary": self.summary,
            "details": self.details,
            "parameters": [vars(p) for p in self.parameters],
            "capabilities": list(self.capabilities),
            "expires_in_place": self.expires_in_place,
            "undo": self.undo,
            "example": self.example,
        }


def about(kind: str) -> About:
    """All that is told of the faults of `kind`.

    Raises ConfigError, naming the known ones, for an unknown kind, and for a fault that lacks one of: a first
    line of its module's docstring, `<Name>: <what happens>.`; a constructor of its kind's name, with an
    example call in backquotes in its docstring; a docstring of its own on `undo`; for each parameter a
    sentence in a docstring of its class or constructor that names it in backquotes.
    """
    cls = fault_type(kind)
    make = CONSTRUCTORS.get(kind)
    if make is None:
        raise ConfigError(f"fault {kind!r} has no @constructor function {kind}()")
    example = _example(kind, make)
    module = inspect.getdoc(sys.modules[cls.__module__]) or ""
    return About(
        kind=kind,
        mode=cls.mode,
        summary=_told(kind, module.partition("\n")[0].partition(": ")[2], "a line `<Name>: <what happens>`"),
        details=_told(kind, inspect.cleandoc(cls.__doc__ or ""), "a docstring"),
        parameters=tuple(_parameter(cls, make, f) for f in _ordered(cls)),
        capabilities=cls.capabilities,
        expires_in_place=cls.expires_in_place,
        undo=_told(kind, _undo(cls), "a docstring of its own on undo()"),
        example=example,
        prototype=_called(kind, make, example),
    )


def _told(kind: str, text: str, lacking: str) -> str:
    if not text:
        raise ConfigError(f"fault {kind!r} lacks {lacking}")
    return text


def _undo(cls: type[Fault]) -> str:
    first = (inspect.getdoc(cls.undo) or "").partition("\n")[0]
    return "" if first.startswith("See ") else first


def _example(kind: str, make: Callable[..., Fault]) -> str:
    found = re.search(rf"`({kind}\([^`]*\))`", " ".join((make.__doc__ or "").split()))
    if found is None:
        raise ConfigError(f"fault {kind!r}: the docstring of {kind}() has no example `{kind}(…)`")
    return found[1]


def _called(kind: str, make: Callable[..., Fault], example: str) -> Fault:
    try:
        call = ast.parse(example, mode="eval").body
        assert isinstance(call, ast.Call)
        arguments = [ast.literal_eval(a) for a in call.args]
        named = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise ConfigError(
            f"fault {kind!r}: its example {example} is no call with literals: {error}"
        ) from None
    return make(*arguments, **named)


def _ordered(cls: type[Fault]) -> list[Field[Any]]:
    """The target first, what all faults of its family have behind its own, what all faults have last."""
    common = {f.name for f in fields(Fault)}
    return sorted(fields(cls), key=lambda f: (f.kw_only is True, f.name in common))


def _parameter(cls: type[Fault], make: Callable[..., Fault], field: Field[Any]) -> Parameter:
    says = next((s for s in _sentences(cls, make) if f"`{field.name}`" in s), "")
    lacking = f"a sentence about its parameter `{field.name}` (in backquotes)"
    default = None if field.default is MISSING else repr(field.default)
    return Parameter(field.name, str(field.type), default, _told(cls.kind, says, lacking))


def _sentences(cls: type[Fault], make: Callable[..., Fault]) -> Iterator[str]:
    """Those of the class and its bases, the constructor, and what its keyword arguments are typed with."""
    hints = get_type_hints(make)
    unpacked = [each for hint in hints.values() for each in get_args(hint) if is_typeddict(each)]
    example = re.compile(rf":? \(?`{cls.kind}\([^`]*\)`\)?")
    for source in (*(c for c in cls.__mro__ if c is not object), make, *unpacked):
        text = example.sub("", " ".join((inspect.cleandoc(source.__doc__ or "")).split()))
        yield from re.split(r"(?<=[.;])\s+", text)
