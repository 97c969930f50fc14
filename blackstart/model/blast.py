"""The blast radius: how much of a stack a drill may touch at a time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from blackstart.model.errors import ConfigError


@dataclass(frozen=True)
class BlastRadius:
    """Bounds, over all faults of a drill that are in force together.

    `instances`: of one role (of one service where it has no roles); `zones`: in all; `faults`: in force.
    Raises ConfigError for a bound that is no whole number from 1.
    """

    instances: int = 1
    zones: int = 1
    faults: int = 2

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"blast radius {bound.name!r} is a whole number from 1, not {value!r}; "
                    f"bounds: {', '.join(f.name for f in fields(self))}"
                )

    def to_dict(self) -> dict[str, Any]:
        """As recorded in `run.json`."""
        return asdict(self)
