"""Sizes in bytes, as people write them; units are decimal, as those of disks are."""

from __future__ import annotations

import argparse
import re

_UNITS = {"MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(MB|GB|TB)")


def parse(text: str) -> int:
    """Bytes: `"1.6GB"` is 1600000000, `"0"` is 0. Raises argparse.ArgumentTypeError."""
    text = text.strip()
    if text == "0":
        return 0
    match = _FORM.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"not a size: {text!r} (write a number with MB, GB or TB, or 0)")
    return round(float(match[1]) * _UNITS[match[2]])


def parse_all(text: str) -> tuple[int, ...]:
    """Those of a list with commas between them, each once, in ascending order."""
    return tuple(sorted({parse(part) for part in text.split(",")}))


def shown(size: float) -> str:
    """With the unit that suits it: `100 MB`, `1.6 GB`; `0` of nothing."""
    if size == 0:
        return "0"
    unit = next((u for u in ("TB", "GB") if size >= _UNITS[u] * 0.9995), "MB")
    return f"{float(f'{size / _UNITS[unit]:.3g}'):g} {unit}"
