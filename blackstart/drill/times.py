"""Where the time of a session went."""

from __future__ import annotations

from collections.abc import Sequence

from blackstart.drill.result import Result
from blackstart.model.durations import human

#: What the steps of a trial are spent on; all else is overhead: images, load client, final reads, reports.
PURPOSES = {
    "baseline": ("baseline",),
    "fault": ("fault",),
    "recovery": ("undo", "recovery", "settle"),
    "reset": ("prepare", "reset"),
}


def spent(results: Sequence[Result], start_s: float, total_s: float) -> dict[str, float]:
    """Seconds by purpose, of a session of `total_s` whose stack took `start_s` to its steady state."""
    of = {
        purpose: sum(result.timings.get(step, 0.0) for result in results for step in steps)
        for purpose, steps in PURPOSES.items()
    }
    named = {"stack": start_s, **of, "void trials": sum(r.timings.get("void", 0.0) for r in results)}
    return {**named, "overhead": max(0.0, total_s - sum(named.values()))}


def time_line(results: Sequence[Result], start_s: float, total_s: float) -> str:
    """`time: 12 min 3 s; fault 5 min (42 %), ...`, of what took any."""
    parts = [
        f"{purpose} {_whole(seconds)} ({seconds / total_s:.0%})"
        for purpose, seconds in spent(results, start_s, total_s).items()
        if seconds >= 1
    ]
    return f"time: {_whole(total_s)}; {', '.join(parts)}"


def _whole(seconds: float) -> str:
    return human(seconds) if seconds >= 60 else f"{seconds:.0f} s"
