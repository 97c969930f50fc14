"""What a drill can observe for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

#: For every service with roles: which instance has which role.
Roles = Mapping[str, Mapping[str, str]]


class Until(Protocol):
    """A condition that a drill observes for, as `promoted("postgres")`."""

    def describe(self) -> str:
        """The condition in words."""

    def begin(self, before: Roles) -> None:
        """Take note of who had which role before the fault."""

    def check(self, running: Any) -> str | None:
        """None once met, else what was last seen."""
