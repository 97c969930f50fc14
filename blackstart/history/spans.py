"""`spans.jsonl`: what services told of operations that were traced, a span a line. No figure rests on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

#: The file, beside a run's history.
SPANS = "spans.jsonl"
#: Lines of it at most: some 2 MB.
MOST = 5000

Line = dict[str, Any]


def spans_in(log: str, node: str) -> Iterator[Line]:
    """The spans among the lines of a log; one that does not name its `node` is that of `node`."""
    for text in log.splitlines():
        if (line := span_of(text)) is not None:
            yield {**line, "node": str(line.get("node") or node)}


def span_of(text: str) -> Line | None:
    """A line as a span, None if it is none: a JSON object of name (`span`), ids and times (ns since 1970)."""
    if '"span_id"' not in text:
        return None
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(line, dict):
        return None
    named = all(isinstance(line.get(name), str) for name in ("span", "trace_id", "span_id"))
    named = named and isinstance(line.get("parent_id", ""), str | None)
    begin, end = line.get("begin_ns"), line.get("end_ns")
    timed = isinstance(begin, int) and isinstance(end, int) and begin <= end
    return line if named and timed else None


def bounded(spans: Iterable[Line], most: int = MOST) -> list[Line]:
    """The spans by their begin. Of more than `most`, whole traces: those with errors, then the longest."""
    found = sorted(spans, key=lambda span: span["begin_ns"])
    if len(found) <= most:
        return found
    kept: list[Line] = []
    for trace in sorted(by_trace(found).values(), key=_worth, reverse=True):
        if len(kept) + len(trace) <= most:
            kept += trace
    return sorted(kept, key=lambda span: span["begin_ns"])


def by_trace(spans: Iterable[Line]) -> dict[str, list[Line]]:
    """The spans of each trace, in their order."""
    traces: dict[str, list[Line]] = {}
    for span in spans:
        traces.setdefault(span["trace_id"], []).append(span)
    return traces


def write_spans(path: Path, spans: Iterable[Line]) -> None:
    """Write them, bounded; no file where there are none."""
    if kept := bounded(spans):
        path.write_bytes(b"".join(orjson.dumps(span) + b"\n" for span in kept))


def read_spans(path: Path) -> list[Line]:
    """Those of a file; none if it is missing. What is no span is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return list(spans_in(text, "?"))


def _worth(trace: Sequence[Line]) -> tuple[bool, int]:
    length = max(span["end_ns"] for span in trace) - min(span["begin_ns"] for span in trace)
    return any(span.get("error") for span in trace), length
