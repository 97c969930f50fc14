"""Objectives: the bounds that a drill's measurements are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError

#: Objectives that bound how many entries a list of the checker may have.
COUNTS = ("lost", "duplicate", "resurrected", "unexpected", "stale_reads", "split_brain")


#: Objectives that bound what the drill itself counted (`drill.count`).
COUNTED = (
    "attempts",
    "excess_calls",
    "probes_at_once",
    "keys_lost",
    "wrong_answers",
    "unsafe_commits",
    "failovers",
    "failovers_missing",
    "overdue",
    "unended",
    "rows_missing",
    "rows_unexpected",
    "rows_changed",
    "alerts_missing",
    "undetected",
)

#: Objectives that bound a quantile of the latency of kinds of operations.
LATENCIES = ("p90", "p99")

#: What can only be judged where there was a fault; a placebo leaves them out.
OF_THE_FAULT = (
    "availability",
    "goodput",
    "interrupted",
    *LATENCIES,
    "mode",
    "declared",
    "attempts",
    "excess_calls",
    "probes_at_once",
    "wrong_answers",
    "unsafe_commits",
    "failovers_missing",
    "rows_missing",
    "rows_unexpected",
    "rows_changed",
    "alerts_missing",
    "undetected",
)


@dataclass(frozen=True)
class Objectives:
    """Bounds on measurements; None is no objective.

    `rto`, `rpo` (age of the oldest lost write) are durations, maxima. `gives_up` names defects of the ledger
    that are given up knowingly, so that the checker does not fail for them: only `lost`, only where `rpo`
    bounds it, as where there is nothing but the archive to restore from, and only what was sent until the
    first fault had its effect (its bite); the age of what was sent after that fault's begin is 0 unless
    another follows. `availability` is the minimum share of oks among operations due during the fault, 0 to 1:
    of all kinds pooled, or of each kind that a mapping names.
    `interrupted` bounds how many operations that were under way when a fault struck did not
    end well: due before it, they do not count in availability. `p90` and `p99` bound the latency of the
    kinds that they name during the fault: `"500ms"`, or `"+150ms"` over the same kind's before it, since
    clients were well (100 answers of either at least; of 200 the p99 is the third slowest, which a machine
    that others use moves by itself: prefer p90 there). `mode` names the degradations that answers may show
    during the fault: more than 2 % of the answers must name one of them, and no more than that any other (or
    a single one: a slow call now and then is of any day). `declared` is the share of each kind's answers
    during the fault that must name a degradation. `goodput` is how many oks a second each kind must have
    during the fault, for a load beyond what can be served. The checker's counts follow, then those of the
    drill itself: `attempts` at a dead dependency, `excess_calls` that should not have been made at all,
    `probes_at_once` of one process, `keys_lost` from a cache, `wrong_answers` among those that the drill
    asked for, `unsafe_commits` of what had to be refused, `failovers` that came about and
    `failovers_missing` that did not, work that is `overdue`, streams that broke off `unended`. Of what was
    restored: `rows_missing` (written before the target, and not there), `rows_unexpected` (there, and written
    by nobody or only after the target), `rows_changed` (there, and other than written). `alerts_missing`:
    alerts that had to come and did not. `undetected`: damages of which nobody was told, as by a restore that
    takes a corrupt backup and says that all went well (`drill.follow(..., fails=)` counts those by itself).
    """

    rto: Duration | None = None
    rpo: Duration | None = None
    gives_up: Sequence[str] | None = None
    availability: float | Mapping[str, float] | None = None
    interrupted: int | None = None
    p90: Mapping[str, Duration] | None = None
    p99: Mapping[str, Duration] | None = None
    mode: Sequence[str] | None = None
    declared: Mapping[str, float] | None = None
    goodput: Mapping[str, float] | None = None
    lost: int | None = None
    duplicate: int | None = None
    resurrected: int | None = None
    unexpected: int | None = None
    stale_reads: int | None = None
    split_brain: int | None = None
    attempts: int | None = None
    excess_calls: int | None = None
    probes_at_once: int | None = None
    keys_lost: int | None = None
    wrong_answers: int | None = None
    unsafe_commits: int | None = None
    failovers: int | None = None
    failovers_missing: int | None = None
    overdue: int | None = None
    unended: int | None = None
    rows_missing: int | None = None
    rows_unexpected: int | None = None
    rows_changed: int | None = None
    alerts_missing: int | None = None
    undetected: int | None = None

    def __post_init__(self) -> None:
        for name in ("rto", "rpo"):
            if (value := getattr(self, name)) is not None:
                seconds(value)
        if self.gives_up is not None and (list(self.gives_up) != ["lost"] or self.rpo is None):
            raise ConfigError(
                f"gives_up={self.gives_up!r}: only ['lost'] can be, and only with a bound on rpo"
            )
        for name, shares in (("availability", by_kind(self.availability)), ("declared", self.declared or {})):
            for share in shares.values():
                if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                    raise ConfigError(f"{name} is a share from 0 to 1, not {share!r}")
        for rate in (self.goodput or {}).values():
            if isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0:
                raise ConfigError(f"goodput is a number of oks a second above 0, not {rate!r}")
        for bound in (*(self.p90 or {}).values(), *(self.p99 or {}).values()):
            margin(bound)
        if self.mode is not None and (isinstance(self.mode, str) or not self.mode):
            raise ConfigError(f"mode is a list of degradations, not {self.mode!r}")
        for name in ("interrupted", *COUNTS, *COUNTED):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise ConfigError(f"objective {name!r} bounds a count: a whole number from 0, not {value!r}")

    def to_dict(self) -> dict[str, Any]:
        """Only the objectives that are set, as written; JSON-ready."""
        return {f.name: _plain(v) for f in fields(self) if (v := getattr(self, f.name)) is not None}

    def at_ceilings(self, factor: float) -> Objectives:
        """Timings `factor` times as generous, what else there is as it was: for machines that others use.

        `rto`, `p90` and `p99` by so much longer, and of what `availability` lets fail so much more may fail:
        where nothing may, nothing may. A loss stays a loss.
        """
        if factor == 1:
            return self
        scaled = by_kind(self.availability)
        share: Any = {kind: max(0.0, 1 - factor * (1 - bound)) for kind, bound in scaled.items()}
        return replace(
            self,
            rto=None if self.rto is None else seconds(self.rto) * factor,
            p90=_longer(self.p90, factor),
            p99=_longer(self.p99, factor),
            availability=share.get(None, share) if scaled else None,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Objectives:
        """The reverse of `to_dict`; ConfigError for an unknown objective."""
        known = {f.name for f in fields(cls)}
        if unknown := set(data) - known:
            raise ConfigError(
                f"unknown objective {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        return cls(**data)


def by_kind(bound: Any) -> dict[str | None, Any]:
    """A bound for each kind of operation; one that is no mapping is for all pooled, named None."""
    if bound is None:
        return {}
    return dict(bound) if isinstance(bound, Mapping) else {None: bound}


def margin(bound: Duration) -> tuple[float, bool]:
    """A bound on a latency in seconds, and whether it counts from the baseline; ConfigError if it is none."""
    if isinstance(bound, str) and bound.startswith("+"):
        return seconds(bound[1:]), True
    return seconds(bound), False


def _longer(bounds: Mapping[str, Duration] | None, factor: float) -> dict[str, Duration] | None:
    if bounds is None:
        return None
    longer = {kind: (margin(bound)[0] * factor, margin(bound)[1]) for kind, bound in bounds.items()}
    return {kind: f"+{1000 * s:g}ms" if over else s for kind, (s, over) in longer.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple | list) else value
