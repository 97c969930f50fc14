"""From a run's folder to what the templates show: plain values, sentences and finished charts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from blackstart.model.durations import seconds
from blackstart.report import (
    about,
    charts,
    course,
    degradation,
    followed,
    impact,
    recovery,
    roles,
    sentences,
    timeline,
    traces,
)
from blackstart.report.draw import Span
from blackstart.report.folder import RunFolder
from blackstart.report.words import bound_words, millis

_TITLES = {"drill": "Post-mortem of a drill", "control": "Negative control", "placebo": "Placebo"}


def view(data: RunFolder) -> dict[str, Any]:
    """The context of report.html and report.md."""
    run, samples = data.run, data.samples
    measure = run["measure"]
    zero = data.faults[0][0] if data.faults else 0.0
    parts = roles.segments(data.events, samples.end)
    found = course.courses(data.events, measure, data.faults, samples.end)
    entries = timeline.build(data.events, measure.get("outages") or [], samples, parts, found)
    rto_bound = run["experiment"]["objectives"].get("rto")
    bound = seconds(rto_bound) if rto_bound is not None else None
    context = {
        "run": run,
        "kicker": _TITLES.get(run["role"], "Run"),
        "title": title(run),
        "verdict_badge": sentences.badge(run),
        "sentence": sentences.verdict_sentence(run, samples.acknowledged),
        "impact": impact.cards(data, bound),
        "kinds": impact.kinds(data),
        **_over_time(data, parts, zero),
        "traces": traces.view(data.traced, data.faults, zero),
        "courses": course.view(found, zero),
        "courses_unshown": course.unshown(found),
        "followed": followed.view(data.events, measure, data.faults, samples.end, zero),
        "recovery": recovery.view(measure, data.faults, samples.end, bound),
        "phases": impact.phases(measure),
        "acks": roles.acks_sentence(samples.acks, zero),
        "role_rows": [(p.instance, p.detail, p.timeline, p.begin - zero, p.end - zero) for p in parts],
        "zero": zero,
        "has_fault": bool(data.faults),
        "entries": entries,
        "key_entries": [e for e in entries if e.decisive],
        "objectives": _objectives(run),
        "faults": [about.fault(f) for f in run["faults"]],
        "runbook_href": safe_href(run["runbook_path"]),
        "environment": about.environment(run),
        "instances": run["stack"]["instances"],
        "configuration": as_json(run["configuration"]),
        "logs": data.logs,
        "controls": _controls(run),
        "placebo": _linked((run["related"] or {}).get("placebo")),
        "limits": about.limits(data),
        "schedule": as_json(run["schedule"]) if run["schedule"] else "",
        "load_plan": as_json(run["load"]) if run["load"] else "",
    }
    figures = context["followed"]["figures"] if context["followed"] else []
    shown = [*context["courses"], *figures, context["recovery"], context["degradation"]]
    captions = [*(each["caption"] for each in shown if each), context["roles_caption"]]
    return {**context, "captions": list(filter(None, captions))}


def _over_time(data: RunFolder, parts: Sequence[roles.Segment], zero: float) -> dict[str, Any]:
    """The charts that share the axis of time, with caption and rows; None where there is nothing to draw."""
    run, samples, faults = data.run, data.samples, data.faults
    span = Span(0.0, samples.end, zero)
    strip = sentences.strip_caption(run, samples.bad, samples.due, samples.end)
    latency = sentences.latency_caption(run["measure"], millis)
    who = roles.finding(parts, zero) if parts else ""
    answered = any(kind.ok for kind in samples.kinds.values())
    return {
        "strip": charts.availability_strip(samples, span, faults, impact.notes(data), strip)
        if samples.kinds
        else None,
        "strip_caption": strip,
        "strip_rows": charts.strip_table(samples, zero),
        "latency": charts.latency_panels(samples, span, faults, latency) if answered else None,
        "latency_caption": latency,
        "latency_rows": charts.latency_table(samples, zero),
        "degradation": degradation.view(samples, span, faults, zero),
        "roles": roles.roles_chart(parts, samples, span, faults, who) if parts else None,
        "roles_caption": who,
    }


def title(run: Mapping[str, Any]) -> str:
    """`postgres.primary_crash` as `Postgres: primary crash`."""
    name = str(run["experiment"]["name"]).split("::")[-1].removeprefix("test_")
    name = name.replace(".", ": ").replace("_", " ").strip()
    name = name[:1].upper() + name[1:] or "Drill"
    return name.replace("Llm", "LLM", 1)


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
