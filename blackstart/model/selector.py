"""Target selectors: `app-1`, `app`, `postgres.primary`, `app[zone=b]`, `redis.replica[zone=b]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from blackstart.model.errors import ConfigError
from blackstart.model.stack import Instance, Stack

_FORM = re.compile(
    r"(?P<name>[a-z][a-z0-9-]*)(?:\.(?P<role>[a-z][a-z_-]*))?(?:\[zone=(?P<zone>[a-z0-9-]+)\])?"
)


@dataclass(frozen=True)
class Selector:
    """Which instances: by instance or service name, by role (resolved when the fault strikes), by zone."""

    name: str
    role: str | None = None
    zone: str | None = None

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Parse a selector; ConfigError shows the forms."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ConfigError(
                f"not a target: {text!r} (write an instance 'app-1', a service 'app', a role "
                "'postgres.primary', or add a zone: 'app[zone=b]')"
            )
        return cls(match["name"], match["role"], match["zone"])

    def candidates(self, stack: Stack) -> tuple[Instance, ...]:
        """The instances that it may mean: which of them hold the role is known on a running stack only."""
        named = [i for i in stack.instances if self.name in (i.name, i.service)]
        return tuple(i for i in named if self.zone in (None, i.zone))

    def validate(self, stack: Stack) -> None:
        """Raise ConfigError, naming the valid ones, if the stack has no such target."""
        if self.name in stack.by_name:
            if self.role:
                raise ConfigError(
                    f"{self.name!r} is an instance; roles belong to services: {_services(stack)}"
                )
            candidates: tuple[str, ...] = (stack.by_name[self.name].zone,)
        elif self.name in stack.services:
            candidates = tuple(i.zone for i in stack.of(self.name))
        else:
            raise ConfigError(
                f"unknown target {self.name!r}; services: {_services(stack)}; "
                f"instances: {', '.join(stack.by_name)}"
            )
        if self.role:
            resolver = stack.roles.get(self.name)
            known = tuple(resolver.roles) if resolver is not None else ()
            if self.role not in known:
                raise ConfigError(
                    f"service {self.name!r} has no role {self.role!r}; known: {', '.join(known) or 'none'}"
                )
        if self.zone and self.zone not in candidates:
            zones = ", ".join(sorted(set(candidates)))
            raise ConfigError(f"{self.name!r} has nothing in zone {self.zone!r}; its zones: {zones}")


def _services(stack: Stack) -> str:
    return ", ".join(stack.services)
