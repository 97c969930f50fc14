"""Numbers and short phrases as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from blackstart.model.durations import seconds
from blackstart.model.objectives import LATENCIES

#: A verdict is a sign and a word; colour only repeats them.
SIGNS = {"pass": "✓", "fail": "✕", "unknown": "?"}
WORDS = {"pass": "Pass", "fail": "Fail", "unknown": "Unknown"}
#: What the proof of a negative control is called.
CAUGHT = {"pass": "caught", "fail": "not caught", "unknown": "unknown"}

NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


def secs(value: float | None) -> str:
    """Seconds to read: `12 ms`, `1.61 s`, `20.6 s`, `1 min 35 s`; `–` for None."""
    if value is None:
        return "–"
    sign, size = (MINUS, -value) if value < 0 else ("", value)
    if size < 0.0005:
        return f"0{NBSP}s"
    if size < 0.9995:
        return f"{sign}{size * 1000:.0f}{NBSP}ms"
    if size < 60:
        return f"{sign}{size:.2f}{NBSP}s" if size < 10 else f"{sign}{size:.1f}{NBSP}s"
    minutes, rest = divmod(round(size), 60)
    return f"{sign}{minutes}{NBSP}min{NBSP}{rest}{NBSP}s"


def limit(value: float) -> str:
    """A bound as it was meant: `10 s`, where a measurement of the same size reads `10.0 s`."""
    return f"{value:.0f}{NBSP}s" if value < 60 and value == int(value) else secs(value)


def bounds(lo: float | None, hi: float | None, censored: bool = False) -> str:
    """An interval of seconds: `1.42–1.61 s`; `more than 12.3 s` when the end was not seen."""
    if lo is None or hi is None:
        return "–"
    if censored:
        return f"more than {secs(lo)}"
    if hi == 0:
        return f"0{NBSP}s"
    low, high = secs(lo), secs(hi)
    if low == high:
        return high
    number, _, unit = low.partition(NBSP)
    same = high.partition(NBSP)[2] == unit
    return f"{number}–{high}" if same else f"{low} to {high}"


def moment(value: float) -> str:
    """A time relative to the fault, as in timelines: `T+1.423 s`."""
    return f"T{'+' if value >= 0 else MINUS}{abs(value):.3f}{NBSP}s"


def instant(text: Any) -> str:
    """An RFC 3339 time as people read it, in UTC and whole seconds; what is no such time, as it is."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    return f"{at.astimezone(UTC) if at.tzinfo else at:%Y-%m-%d %H:%M:%S}{' UTC' if at.tzinfo else ''}"


def ago(value_s: float) -> str:
    """How long something is past, in its largest unit: `just now`, `5 min ago`, `3 h ago`, `12 days ago`."""
    return "just now" if value_s < 60 else f"{age(value_s)} ago"


def age(value_s: float) -> str:
    """An age in its largest unit, rounded down: `0 min`, `5 min`, `3 h`, `12 days`."""
    if value_s < 3600:
        return f"{max(0, int(value_s // 60))}{NBSP}min"
    if value_s < 48 * 3600:
        return f"{int(value_s // 3600)}{NBSP}h"
    return f"{int(value_s // 86400)}{NBSP}days"


def millis(value: float | None) -> str:
    """Milliseconds to read: `0.84 ms`, `24 ms`, `1.82 s`."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value / 1000:.2f}{NBSP}s"
    if value >= 10:
        return f"{value:.0f}{NBSP}ms"
    return f"{value:.2g}{NBSP}ms" if value >= 1 else f"{value:.2f}{NBSP}ms"


def count(value: int | float | None) -> str:
    """A whole number in groups of three."""
    if value is None:
        return "–"
    return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def share(value: float | None) -> str:
    """A share 0 to 1 as a percentage; a defect is never rounded away: 0.99996 is `99.99 %`."""
    if value is None:
        return "–"
    if value in (0, 1):
        return f"{value * 100:.0f}{NBSP}%"
    return f"{min(max(value * 100, 0.01), 99.99):.2f}{NBSP}%"


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 write`, `2 writes`, `no writes`."""
    many = many or f"{one}s"
    return f"no {many}" if number == 0 else f"{count(number)} {one if number == 1 else many}"


def listed(items: list[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def bound_words(objective: str, bound: Any) -> str:
    """An objective's bound with its direction: `≤ 10s`, `≥ 85 %`, `≤ 0`."""
    if bound is None:
        return "–"
    if isinstance(bound, Mapping):
        return ", ".join(f"{kind} {bound_words(objective, each)}" for kind, each in bound.items())
    if objective == "gives_up" and isinstance(bound, list):
        return ", ".join(map(str, bound))
    if objective == "mode" and isinstance(bound, list):
        return f"some of: {', '.join(map(str, bound))}"
    if objective in LATENCIES and isinstance(bound, str) and bound.startswith("+"):
        return f"≤ baseline + {limit(seconds(bound[1:]))}"
    if objective in ("availability", "declared") and isinstance(bound, int | float):
        return f"≥ {bound * 100:g}{NBSP}%"
    if objective == "goodput" and isinstance(bound, int | float):
        return f"≥ {bound:.3g} a second"
    if objective in ("rto", "rpo", *LATENCIES) and isinstance(bound, int | float | str):
        return f"≤ {limit(seconds(bound))}"
    return f"≤ {bound}" if isinstance(bound, int | float) else str(bound)


def fault_words(fault: Mapping[str, Any]) -> str:
    """A fault as its call: `kill(postgres.primary, process=postgres)`."""
    hidden = ("kind", "target", "max_duration")
    rest = {k: v for k, v in fault.items() if k not in hidden and v is not False and v not in (None, "")}
    arguments = [str(fault["target"])] if "target" in fault else []
    arguments += [f"{k}={v}" for k, v in rest.items()]
    return f"{fault.get('kind', 'fault')}({', '.join(arguments)})"
