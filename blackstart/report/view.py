"""From a run's folder to what the templates show: plain values, sentences and finished charts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from blackstart.model.durations import seconds
from blackstart.report import charts, recovery, roles, sentences, timeline
from blackstart.report.draw import Span
from blackstart.report.folder import RunFolder
from blackstart.report.words import (
    bound_words,
    bounds,
    count,
    fault_words,
    limit,
    millis,
    plural,
    secs,
    share,
)

_PHASES = ("before", "during", "after")
_TITLES = {"drill": "Post-mortem of a drill", "control": "Negative control", "placebo": "Placebo"}


def view(data: RunFolder) -> dict[str, Any]:
    """The context of report.html and report.md."""
    run, samples = data.run, data.samples
    measure = run["measure"]
    faults = fault_windows(data)
    zero = faults[0][0] if faults else 0.0
    span = Span(0.0, samples.end, zero)
    parts = roles.segments(data.events, samples.end)
    outages = measure.get("outages") or []
    entries = timeline.build(data.events, outages, samples, parts)
    rto_bound = run["experiment"]["objectives"].get("rto")
    bound = seconds(rto_bound) if rto_bound is not None else None
    return {
        "run": run,
        "kicker": _TITLES.get(run["role"], "Run"),
        "title": title(run),
        "verdict_badge": sentences.badge(run),
        "sentence": sentences.verdict_sentence(run, samples.acknowledged),
        "impact": _impact(data, bound),
        "kinds": _kinds(data),
        "strip": charts.availability_strip(
            samples,
            span,
            faults,
            _notes(data),
            sentences.strip_caption(run, samples.bad, samples.due, samples.end),
        )
        if samples.kinds
        else None,
        "strip_caption": sentences.strip_caption(run, samples.bad, samples.due, samples.end),
        "strip_rows": charts.strip_table(samples, zero),
        "recovery": recovery.view(measure, faults, samples.end, bound),
        "latency": charts.latency_panels(samples, span, faults, sentences.latency_caption(measure, millis))
        if any(k.ok for k in samples.kinds.values())
        else None,
        "latency_caption": sentences.latency_caption(measure, millis),
        "latency_rows": charts.latency_table(samples, zero),
        "phases": _phases(measure),
        "roles": roles.roles_chart(parts, samples, span, faults, roles.finding(parts, zero))
        if parts
        else None,
        "roles_caption": roles.finding(parts, zero) if parts else "",
        "acks": roles.acks_sentence(samples.acks, zero),
        "role_rows": [(p.instance, p.detail, p.timeline, p.begin - zero, p.end - zero) for p in parts],
        "zero": zero,
        "has_fault": bool(faults),
        "entries": entries,
        "key_entries": [e for e in entries if e.decisive],
        "objectives": _objectives(run),
        "faults": [_fault(f) for f in run["faults"]],
        "runbook_href": safe_href(run["runbook_path"]),
        "environment": _environment(run),
        "instances": run["stack"]["instances"],
        "configuration": as_json(run["configuration"]),
        "logs": data.logs,
        "controls": _controls(run),
        "placebo": _linked((run["related"] or {}).get("placebo")),
        "limits": _limits(data),
        "degradations": samples.degradations.most_common(),
        "schedule": as_json(run["schedule"]) if run["schedule"] else "",
        "load_plan": as_json(run["load"]) if run["load"] else "",
    }


def title(run: Mapping[str, Any]) -> str:
    """`postgres.primary_crash` as `Postgres: primary crash`."""
    name = str(run["experiment"]["name"]).split("::")[-1].removeprefix("test_")
    name = name.replace(".", ": ").replace("_", " ").strip()
    name = name[:1].upper() + name[1:] or "Drill"
    return name.replace("Llm", "LLM", 1)


def fault_windows(data: RunFolder) -> list[tuple[float, float]]:
    """Begin and end of each fault in seconds; a missing end lasts to the end of the load."""
    found = []
    for fault in data.run["faults"]:
        if fault.get("begin_s") is not None:
            end = fault.get("end_s")
            found.append((float(fault["begin_s"]), float(end) if end is not None else data.samples.end))
    if not found:
        begins = [
            e["time"] / 1e9 for e in data.events if (e.get("source"), e.get("event")) == ("fault", "begin")
        ]
        ends = [e["time"] / 1e9 for e in data.events if (e.get("source"), e.get("event")) == ("fault", "end")]
        ends += [data.samples.end] * (len(begins) - len(ends))
        found = list(zip(begins, ends, strict=False))
    return sorted(found)


def safe_href(path: Any) -> str | None:
    """`path` if it is a relative link or https, else None: a report must not carry a script in a link."""
    if not isinstance(path, str) or not path:
        return None
    parts = urlsplit(path)
    return path if parts.scheme in ("", "https") and not path.startswith("//") else None


def _controls(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The controls of a drill: variant, what must break, and what came of it (None if it was not run)."""
    ran = {told["variant"]: told for told in (run["related"] or {}).get("controls", ())}
    return [{**each, "ran": _linked(ran.get(each["variant"]))} for each in run["experiment"]["controls"]]


def _linked(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a control or placebo showed, with a link to its report."""
    if not told:
        return None
    path = told.get("path")
    if isinstance(path, str) and not path.endswith(".html"):
        path = f"{path.rstrip('/')}/report.html"
    return {"proof": "unknown", "verdict": "unknown", "broke": [], **told, "href": safe_href(path)}


def as_json(data: Any) -> str:
    """`data` as people read it."""
    return json.dumps(data, indent=2, sort_keys=False, ensure_ascii=False, default=str)


def _impact(data: RunFolder, bound: float | None) -> list[dict[str, str]]:
    measure, samples = data.run["measure"], data.samples
    rto, rpo = measure.get("rto") or {}, measure.get("rpo") or {}
    availability, latency = measure.get("availability") or {}, measure.get("latency_ms") or {}
    acked = count(samples.acknowledged)
    cards = [
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
            "note": f"oldest {secs(rpo.get('oldest_s'))} before the fault (RPO)"
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
        cards.append(
            {
                "name": "Availability during the fault",
                "value": share(availability["during"]),
                "note": _before(availability, share),
            }
        )
    if rto.get("f"):
        first = rto.get("first_error_s")
        cards.append(
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
        cards.append(
            {
                "name": "Latency p99 during the fault",
                "value": millis(during["p99"]),
                "note": _before(p99s, millis),
            }
        )
    return cards


def _before(phases: Mapping[str, Any], words: Any) -> str:
    return f"{words(phases.get('before'))} before, {words(phases.get('after'))} after"


def _kinds(data: RunFolder) -> list[dict[str, Any]]:
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


def _notes(data: RunFolder) -> dict[str, str]:
    return {
        k["name"]: f"{k['share']} ok" + (f" · out {k['longest']}" if k["longest"] != "–" else "")
        for k in _kinds(data)
    }


def _phases(measure: Mapping[str, Any]) -> list[list[str]]:
    """Rows by quantity, columns by phase: as narrow as a phone."""
    latency, availability = measure.get("latency_ms") or {}, measure.get("availability") or {}
    quantiles = (("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p99.9", "p999"), ("max", "max"))
    rows = [["availability", *(share(availability.get(phase)) for phase in _PHASES)]]
    for name, key in quantiles:
        rows.append([f"latency {name}", *(millis((latency.get(phase) or {}).get(key)) for phase in _PHASES)])
    return rows


def _objectives(run: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "objective": str(f["objective"]),
            "bound": bound_words(str(f["objective"]), f.get("bound")),
            "measured": str(f["measured"]),
            "verdict": str(f["verdict"]),
        }
        for f in run["findings"]
    ]


def _fault(record: Mapping[str, Any]) -> dict[str, Any]:
    end = record.get("end_s")
    return {
        "call": fault_words(record.get("fault") or {}),
        "targets": ", ".join(map(str, record.get("targets") or ())) or "–",
        "lasted": secs(end - record["begin_s"])
        if end is not None and record.get("begin_s") is not None
        else "no end recorded",
        "bite": str(record.get("bite") or "not shown"),
    }


def _environment(run: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    stack = run["stack"]
    about = [
        ("stack", stack["name"] or "–"),
        ("instances", len(stack["instances"])),
        ("edges", stack["edges"] if stack["edges"] is not None else "–"),
    ]
    groups = [
        ("Stack", about),
        ("Versions", {k: v for k, v in run["versions"].items() if v is not None}),
        ("Host", run["host"]),
    ]
    named = [(name, list(dict(pairs).items())) for name, pairs in groups if pairs]
    named.append(
        (
            "Timings",
            [(k.removesuffix("_s"), secs(v) if k.endswith("_s") else v) for k, v in run["timings"].items()],
        )
    )
    return [(name, [(str(k), str(v)) for k, v in pairs]) for name, pairs in named if pairs]


def _limits(data: RunFolder) -> list[str]:
    run = data.run
    rto = run["measure"].get("rto") or {}
    limits = [
        "This is one trial: a single value says nothing of the spread, and recovery varies with the moment "
        "at which the fault strikes within a detector's period.",
        "Recovery is known only as an interval: between two operations of a kind nothing is known.",
    ]
    if rto.get("censored"):
        limits.append("The load ended before recovery was certain: RTO is a lower bound.")
    for gate in run["gates"]:
        name = gate.get("gate", gate) if isinstance(gate, Mapping) else gate
        limits.append(f"Gate {name} tripped: figures of time are not to be trusted, invariants are.")
    if run["measure"].get("rpo", {}).get("indeterminate"):
        rpo = run["measure"]["rpo"]
        limits.append(
            f"{plural(rpo['indeterminate'], 'write')} had no known outcome, of which "
            f"{count(rpo.get('recovered', 0))} were found afterwards. Neither is a defect."
        )
    limits.append(
        "Component events carry the time they were received; they lag what happened by up to a poll."
    )
    return [*limits, *map(str, run["notes"])]
