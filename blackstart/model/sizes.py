"""Sizes and rates: bytes as a whole number, or a string with a unit: `64kB`, `1MiB`, `128kB/s`, `1Mbit/s`."""

from __future__ import annotations

import re

from blackstart.model.errors import ConfigError

_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_RATES = {f"{unit}/s": n for unit, n in _BYTES.items()} | {
    f"{prefix}bit/s": n / 8 for prefix, n in {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}.items()
}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z/]+)\s*")

#: Bytes, or bytes per second.
Size = int | str


def size_bytes(value: Size) -> int:
    """`value` in bytes, at least 1; ConfigError, naming the units, for anything else."""
    return _parse(value, _BYTES, "size")


def rate_bytes(value: Size) -> int:
    """`value` in bytes per second, at least 1; ConfigError, naming the units, for anything else."""
    return _parse(value, _RATES, "rate")


def _parse(value: Size, units: dict[str, float], what: str) -> int:
    number: float | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and (match := _FORM.fullmatch(value)) and match[2] in units:
        number = float(match[1]) * units[match[2]]
    if number is None or number < 1:
        raise ConfigError(f"not a {what}: {value!r} (write a number with one of: {', '.join(units)})")
    return round(number)
