"""What a drill can observe for: conditions on the roles of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from blackstart.model.errors import ConfigError, HarnessError

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack


class Promoted:
    """Met when an instance is primary that was not before the fault."""

    def __init__(self, service: str, role: str = "primary") -> None:
        self.service, self.role = service, role
        self._before: frozenset[str] | None = None

    def describe(self) -> str:
        """The condition in words."""
        return f"another {self.service} is {self.role}"

    def begin(self, before: Mapping[str, Mapping[str, str]]) -> None:
        """Note who was primary before the fault; `before` is role by instance, by service.

        Raises ConfigError if the service has no roles.
        """
        if not before:
            raise ConfigError(f"promoted({self.service!r}): inject first, then observe")
        if self.service not in before:
            known = ", ".join(before) or "none"
            raise ConfigError(f"promoted({self.service!r}): no such service with roles; known: {known}")
        self._before = frozenset(i for i, role in before[self.service].items() if role == self.role)
        if not self._before:
            # Else the very same one would count as another once it tells its role again.
            raise HarnessError(f"nobody told to be {self.role} of {self.service!r} before the fault")

    def check(self, running: RunningStack) -> str | None:
        """None once met, else who has which role now."""
        if self._before is None:
            raise ConfigError(f"{self.describe()}: begin() was not told who was {self.role} before the fault")
        now = running.role_map(self.service)
        if any(role == self.role and name not in self._before for name, role in now.items()):
            return None
        return (
            ", ".join(f"{name} is {role}" for name, role in sorted(now.items()))
            or "no instance tells its role"
        )


def promoted(service: str) -> Promoted:
    """Another instance of `service` than before the fault is primary."""
    return Promoted(service)
