"""Durations: seconds as a number, or a string with the unit ms, s, m or h."""

from __future__ import annotations

import math
import re

from blackstart.model.errors import ConfigError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*")

Duration = float | int | str


def seconds(value: Duration) -> float:
    """Return `value` in seconds; `"800ms"` is 0.8, `"2m"` is 120.0, `3` is 3.0.

    Raises ConfigError for a negative or non-finite number and for a string without a known unit.
    """
    if isinstance(value, bool):
        raise ConfigError(f"not a duration: {value!r}")
    if isinstance(value, int | float):
        if not math.isfinite(value) or value < 0:
            raise ConfigError(f"a duration must be finite and not negative: {value!r}")
        return float(value)
    match = _FORM.fullmatch(value)
    if match is None:
        raise ConfigError(f"not a duration: {value!r} (write seconds, or a number with ms, s, m or h)")
    return float(match[1]) * _UNITS[match[2]]


def human(value_s: float) -> str:
    """Render seconds for people: `0.0123` is `12 ms`, `1.6` is `1.60 s`, `95` is `1 min 35 s`."""
    if value_s < 1:
        return f"{value_s * 1000:.0f} ms"
    if value_s < 60:
        return f"{value_s:.2f} s"
    minutes, rest = divmod(round(value_s), 60)
    return f"{minutes} min {rest} s"
