"""What a run was done with and to, and what its evidence cannot show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blackstart.report.folder import RunFolder
from blackstart.report.words import count, fault_words, plural, secs


def fault(record: Mapping[str, Any]) -> dict[str, Any]:
    """A fault as injected: call, targets, how long, proof."""
    end = record.get("end_s")
    return {
        "call": fault_words(record.get("fault") or {}),
        "targets": ", ".join(map(str, record.get("targets") or ())) or "–",
        "lasted": secs(end - record["begin_s"])
        if end is not None and record.get("begin_s") is not None
        else "no end recorded",
        "bite": str(record.get("bite") or "not shown"),
    }


def environment(run: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Stack, versions, host and timings, as named lists of pairs."""
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


def limits(data: RunFolder) -> list[str]:
    """What this evidence cannot show, and the notes taken on the way."""
    run = data.run
    rto = run["measure"].get("rto") or {}
    told = [
        "This page is of one trial: a single value says nothing of the spread, and recovery varies with the "
        "moment at which the fault strikes within a detector's period.",
        "Recovery is known only as an interval: between two operations of a kind nothing is known.",
    ]
    if rto.get("censored"):
        told.append("The load ended before recovery was certain: RTO is a lower bound.")
    for gate in run["gates"]:
        name = gate.get("gate", gate) if isinstance(gate, Mapping) else gate
        told.append(f"Gate {name} tripped: figures of time are not to be trusted, invariants are.")
    if run["measure"].get("rpo", {}).get("indeterminate"):
        rpo = run["measure"]["rpo"]
        told.append(
            f"{plural(rpo['indeterminate'], 'write')} had no known outcome, of which "
            f"{count(rpo.get('recovered', 0))} were found afterwards. Neither is a defect."
        )
    told.append("Component events carry the time they were received; they lag what happened by up to a poll.")
    return [*told, *map(str, run["notes"])]
