"""Every figure of one run, from its history and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blackstart.history.records import Events, History
from blackstart.measure.check import Checked, check_history
from blackstart.measure.episodes import Episode, episodes
from blackstart.measure.load import Load, load_of
from blackstart.measure.outages import Outage, clusters
from blackstart.measure.phases import Phase, bounds, phases
from blackstart.measure.rpo import Loss, effect, loss
from blackstart.measure.rto import Recovery, recoveries, worst_of


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of DESIGN section 5; all times inside are ns, `to_dict` gives seconds and ms."""

    load: Load
    events: Events
    episodes: list[Episode]
    outages: list[Outage]
    strays: list[Outage]
    rto: Recovery
    rpo: Loss
    phases: dict[str, Phase]
    checked: Checked
    during: tuple[int, int] | None
    recoveries: list[Recovery]

    def kind_name(self, kind: int | None) -> str | None:
        """The name of a kind of operation."""
        return None if kind is None else self.load.history.kinds[kind]

    def to_dict(self) -> dict[str, Any]:
        """As `blackstart measure` prints it, the verdict aside."""
        rto = self.rto
        first_error = rto.first_error(self.load.history)
        return {
            "rto": {
                "f": self.kind_name(rto.kind),
                "lo_s": rto.lo / 1e9,
                "hi_s": rto.hi / 1e9,
                "censored": rto.censored,
                "first_error_s": None if first_error is None else first_error / 1e9,
                "unavailable_s": rto.unavailable / 1e9,
            },
            "outages": [self._outage(outage) for outage in self.outages],
            "strays": [self._outage(outage) for outage in self.strays],
            "rpo": {
                "lost": self.rpo.lost,
                "oldest_s": None if self.rpo.oldest is None else self.rpo.oldest / 1e9,
                "indeterminate": self.rpo.indeterminate,
                "recovered": self.rpo.recovered,
            },
            "availability": {name: phase.availability for name, phase in self.phases.items()},
            "latency_ms": {name: phase.latency for name, phase in self.phases.items()},
        }

    def _outage(self, outage: Outage) -> dict[str, Any]:
        return {
            "f": self.kind_name(outage.kind),
            "begin_s": outage.begin / 1e9,
            "end_s": outage.end / 1e9,
            "lo_s": outage.lo / 1e9,
            "hi_s": outage.hi / 1e9,
            "ok_ratio": outage.ok_ratio,
        }


def measured(history: History, events: Events) -> Measured:
    """Compute everything; pure."""
    load = load_of(history)
    found = sorted(clusters(load), key=lambda c: (c.begin, history.kinds[c.kind]))
    outages = [cluster for cluster in found if not cluster.stray]
    spans = episodes(events.faults, history.end)
    recovered = recoveries(load, outages, spans)
    checked = check_history(history)
    during = bounds(spans, recovered)
    return Measured(
        load=load,
        events=events,
        episodes=spans,
        outages=outages,
        strays=[cluster for cluster in found if cluster.stray],
        rto=worst_of(recovered),
        rpo=loss(checked.ledger, events.faults, effect(events)),
        phases=phases(load, during),
        checked=checked,
        during=during,
        recoveries=recovered,
    )
