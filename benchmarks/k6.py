"""k6's own record of a run (`--out json`) and its closing summary, read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

_SUMMARY = re.compile(r"^\s*(\w+)\.+: *(\S+)", re.MULTILINE)


def points(record: Path, metric: str) -> Iterator[tuple[float, float, dict[str, Any]]]:
    """(time, value, tags) of every sample of `metric`; seconds since the epoch, the value as k6 counts it.

    k6 stamps a request, and an iteration, when it ends. A line torn by the end of the process is left out.
    """
    needle = f'"{metric}"'.encode()
    with record.open("rb") as file:
        for line in file:
            if needle not in line or not line.endswith(b"\n"):
                continue
            point = orjson.loads(line)
            if point["type"] == "Point" and point["metric"] == metric:
                data = point["data"]
                yield seconds(data["time"]), data["value"], data["tags"]


def seconds(stamp: str) -> float:
    """RFC 3339 with up to nine digits of a second, as seconds since the epoch, to the microsecond."""
    head, _, rest = stamp.partition(".")
    digits = re.match(r"\d*", rest)[0]  # type: ignore[index]  # it matches nothing, at least
    zone = rest[len(digits) :] if rest else head[19:]
    return datetime.fromisoformat(f"{head[:19]}.{digits[:6].ljust(6, '0')}{zone}").timestamp()


def starts(record: Path) -> dict[str, list[float]]:
    """When each iteration began, by scenario; seconds since the epoch."""
    found: dict[str, list[float]] = {}
    for ended, took_ms, tags in points(record, "iteration_duration"):
        found.setdefault(tags["scenario"], []).append(ended - took_ms / 1000)
    return found


def summary(said: str) -> dict[str, str]:
    """The first figure of every line of the closing summary: `{"iterations": "4000", …}`."""
    return dict(_SUMMARY.findall(said))
