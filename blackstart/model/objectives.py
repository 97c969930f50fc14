"""Objectives: the bounds that a drill's measurements are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError

#: Objectives that bound how many entries a list of the checker may have.
COUNTS = ("lost", "duplicate", "resurrected", "unexpected", "stale_reads", "split_brain")


@dataclass(frozen=True)
class Objectives:
    """Bounds on measurements; None is no objective.

    `rto`, `rpo` (age of the oldest lost write) are durations, maxima. `availability` is the minimum
    share of oks among operations due during the fault, 0 to 1. The rest bound counts of the checker.
    """

    rto: Duration | None = None
    rpo: Duration | None = None
    availability: float | None = None
    lost: int | None = None
    duplicate: int | None = None
    resurrected: int | None = None
    unexpected: int | None = None
    stale_reads: int | None = None
    split_brain: int | None = None

    def __post_init__(self) -> None:
        for name in ("rto", "rpo"):
            if (value := getattr(self, name)) is not None:
                seconds(value)
        if self.availability is not None and not 0 <= self.availability <= 1:
            raise ConfigError(f"availability is a share from 0 to 1, not {self.availability!r}")
        for name in COUNTS:
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise ConfigError(f"objective {name!r} bounds a count: a whole number from 0, not {value!r}")

    def to_dict(self) -> dict[str, Any]:
        """Only the objectives that are set, as written."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Objectives:
        """The reverse of `to_dict`; ConfigError for an unknown objective."""
        known = {f.name for f in fields(cls)}
        if unknown := set(data) - known:
            raise ConfigError(
                f"unknown objective {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        return cls(**data)
