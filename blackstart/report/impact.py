"""The impact of a run in exact numbers: cards, figures by kind of operation and by phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blackstart.report import sentences
from blackstart.report.folder import RunFolder
from blackstart.report.words import bounds, count, limit, millis, plural, secs, share

_PHASES = ("before", "during", "after")


def cards(data: RunFolder, bound: float | None) -> list[dict[str, str]]:
    """The figures that come first: name, value, note."""
    measure, samples = data.run["measure"], data.samples
    rto, rpo = measure.get("rto") or {}, measure.get("rpo") or {}
    availability, latency = measure.get("availability") or {}, measure.get("latency_ms") or {}
    acked = count(samples.acknowledged)
    told = [
        {
            "name": "Recovery time (RTO)",
            "value": bounds(rto.get("lo_s"), rto.get("hi_s"), bool(rto.get("censored"))),
            "note": ", ".join(
                filter(
                    None,
                    (
                        str(rto["f"]) if rto.get("f") else "no outage felt",
                        f"bound {limit(bound)}" if bound is not None else "",
                    ),
                )
            ),
        },
        {
            "name": "Acknowledged writes lost",
            "value": f"{count(rpo.get('lost', 0))} of {acked}" if samples.acknowledged else "no writes",
            "note": f"oldest {secs(rpo.get('oldest_s'))} before the fault's begin (RPO)"
            if rpo.get("lost")
            else "RPO 0",
        },
        {
            "name": "Operations not served",
            "value": f"{count(samples.bad)} of {count(samples.due)}",
            "note": f"{plural(sum(k.fail for k in samples.kinds.values()), 'refusal')}, "
            f"{plural(sum(k.info for k in samples.kinds.values()), 'unknown outcome')}",
        },
    ]
    if availability.get("during") is not None:
        told.append(
            {
                "name": "Availability during the fault",
                "value": share(availability["during"]),
                "note": _before(availability, share),
            }
        )
    if rto.get("f"):
        first = rto.get("first_error_s")
        told.append(
            {
                "name": "Unavailable in all",
                "value": secs(rto.get("unavailable_s")),
                "note": f"{rto['f']}; first error {secs(first)} after the fault"
                if first is not None
                else str(rto["f"]),
            }
        )
    during = latency.get("during") or {}
    if during.get("p99") is not None:
        p99s = {k: (latency.get(k) or {}).get("p99") for k in _PHASES}
        told.append(
            {
                "name": "Latency p99 during the fault",
                "value": millis(during["p99"]),
                "note": _before(p99s, millis),
            }
        )
    return told


def _before(phases: Mapping[str, Any], words: Any) -> str:
    return f"{words(phases.get('before'))} before, {words(phases.get('after'))} after"


def kinds(data: RunFolder) -> list[dict[str, Any]]:
    """A row for each kind of operation, over the whole load."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for outage in data.run["measure"].get("outages") or []:
        by_kind.setdefault(outage["f"], []).append(outage)
    rows = []
    for kind in data.samples.kinds.values():
        outages = by_kind.get(kind.name, [])
        worst = max(outages, key=lambda o: float(o["hi_s"]), default=None)
        rows.append(
            {
                "name": kind.name,
                "due": count(kind.due),
                "ok": count(kind.ok),
                "fail": count(kind.fail),
                "info": count(kind.info),
                "share": share(kind.ok / kind.due if kind.due else None),
                "outages": count(len(outages)),
                "longest": sentences.lasted(worst, data.samples.end) if worst else "–",
                "errors": kind.errors.most_common(4),
            }
        )
    return rows


def notes(data: RunFolder) -> dict[str, str]:
    """By kind, what is written beside its strip."""
    return {
        k["name"]: f"{k['share']} ok" + (f" · out {k['longest']}" if k["longest"] != "–" else "")
        for k in kinds(data)
    }


def phases(measure: Mapping[str, Any]) -> list[list[str]]:
    """Rows by quantity, columns by phase: as narrow as a phone."""
    latency, availability = measure.get("latency_ms") or {}, measure.get("availability") or {}
    quantiles = (("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p99.9", "p999"), ("max", "max"))
    rows = [["availability", *(share(availability.get(phase)) for phase in _PHASES)]]
    for name, key in quantiles:
        rows.append([f"latency {name}", *(millis((latency.get(phase) or {}).get(key)) for phase in _PHASES)])
    return rows
