"""The forms that fields of actions have: what is valid, and how each stands in a file."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from blackstart.faults import Fault, fault_from_dict
from blackstart.model.durations import seconds
from blackstart.model.errors import ConfigError
from blackstart.schedule.base import Action, Form, action_from_dict, within


class _Plain(ABC):
    """Stands in a file as it is."""

    def read(self, value: Any) -> Any:
        self.check(value)
        return value

    def write(self, value: Any) -> Any:
        return value

    @abstractmethod
    def check(self, value: Any) -> None: ...


class _Name(_Plain):
    def check(self, value: Any) -> None:
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"not a name: {value!r} (write a text that is not empty)")


class _Count(_Plain):
    def __init__(self, least: int) -> None:
        self.least = least

    def check(self, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < self.least:
            raise ConfigError(f"not a count: {value!r} (write a whole number of at least {self.least})")


class _Duration(_Plain):
    def check(self, value: Any) -> None:
        if not isinstance(value, int | float | str):
            raise ConfigError(f"not a duration: {value!r} (write seconds, or a number with ms, s, m or h)")
        seconds(value)


class _Value(_Plain):
    def check(self, value: Any) -> None:
        if not isinstance(value, int | float | str) or isinstance(value, bool):
            raise ConfigError(f"not a value: {value!r} (write a number or a duration)")
        if isinstance(value, str):
            seconds(value)
        elif not math.isfinite(value):
            raise ConfigError(f"not a value: {value!r} (write a finite number)")


class _Fault:
    def check(self, value: Any) -> None:
        if not isinstance(value, Fault):
            raise ConfigError(f"not a fault: {value!r} (write for example kill('app-1'))")

    def read(self, value: Any) -> Fault:
        if not isinstance(value, Mapping):
            raise ConfigError(f"not a fault: {value!r} (write a mapping with 'kind' and its parameters)")
        return fault_from_dict(value)

    def write(self, value: Fault) -> dict[str, Any]:
        return value.to_dict()


class _Faults:
    def check(self, value: Any) -> None:
        if not isinstance(value, Mapping) or not value:
            raise ConfigError(f"not faults by name: {value!r} (write at least one)")
        for name, fault in value.items():
            with within(str(name)):
                NAME.check(name)
                FAULT.check(fault)

    def read(self, value: Any) -> dict[str, Fault]:
        if not isinstance(value, Mapping):
            raise ConfigError(f"not faults by name: {value!r} (write a mapping of names to faults)")
        found = {}
        for name, fault in value.items():
            with within(str(name)):
                found[name] = FAULT.read(fault)
        return found

    def write(self, value: Mapping[str, Fault]) -> dict[str, Any]:
        return {name: FAULT.write(fault) for name, fault in value.items()}


class _Action:
    def check(self, value: Any) -> None:
        if not isinstance(value, Action):
            raise ConfigError(f"not an action: {value!r} (write for example inject(fault, name))")

    def read(self, value: Any) -> Action:
        return action_from_dict(value)

    def write(self, value: Action) -> dict[str, Any]:
        return value.to_dict()


class _Actions:
    def check(self, value: Any) -> None:
        for n, each in enumerate(value):
            with within(n):
                ACTION.check(each)

    def read(self, value: Any) -> tuple[Action, ...]:
        if not isinstance(value, list):
            raise ConfigError(f"not a list of actions: {value!r}")
        found = []
        for n, each in enumerate(value):
            with within(n):
                found.append(ACTION.read(each))
        return tuple(found)

    def write(self, value: Iterable[Action]) -> list[dict[str, Any]]:
        return [each.to_dict() for each in value]


NAME, DURATION, VALUE, FAULT, FAULTS = _Name(), _Duration(), _Value(), _Fault(), _Faults()
ACTION, ACTIONS = _Action(), _Actions()


def count(least: int) -> Form:
    """Whole numbers of at least `least`."""
    return _Count(least)
