"""Spans among the lines of logs, and the file of those that are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blackstart.history.spans import bounded, read_spans, spans_in, write_spans


def span(trace: str = "t1", id: str = "s1", begin: int = 5, end: int = 9, **more: Any) -> dict[str, Any]:
    return {"span": "GET /", "trace_id": trace, "span_id": id, "begin_ns": begin, "end_ns": end, **more}


def test_a_log_gives_its_spans_with_the_node_that_told_them() -> None:
    lines = ["started", json.dumps({"message": "request", "trace_id": "t1"}), json.dumps(span())]
    log = "\n".join([*lines, json.dumps(span(id="s2", node="app-2", status=200)), '{"span_id": torn'])
    assert list(spans_in(log, "app-1")) == [
        span(node="app-1"),
        span(id="s2", node="app-2", status=200),
    ]


@pytest.mark.parametrize(
    "broken",
    [{"span": 7}, {"trace_id": None}, {"begin_ns": "5"}, {"end_ns": 4}, {"end_ns": None}, {"parent_id": []}],
)
def test_what_lacks_a_name_an_id_or_a_time_is_no_span(broken: dict[str, Any]) -> None:
    assert list(spans_in(json.dumps({**span(), **broken}), "app-1")) == []


def test_of_too_many_those_with_errors_are_kept_then_the_longest_whole_traces_each() -> None:
    quick = [span("quick", f"q{n}", n, n + 2) for n in range(3)]
    slow = [span("slow", "s1", 10, 900), span("slow", "s2", 20, 30)]
    failed = [span("failed", "f1", 40, 41, error="TimeoutError")]
    assert [s["span_id"] for s in bounded([*slow, *quick, *failed], 4)] == ["s1", "s2", "f1"]
    assert [s["span_id"] for s in bounded([*slow, *quick, *failed], 6)] == [
        "q0",
        "q1",
        "q2",
        "s1",
        "s2",
        "f1",
    ]


def test_what_was_written_is_read_and_nothing_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    write_spans(path, [])
    assert (path.exists(), read_spans(path)) == (False, [])
    write_spans(path, [span(id="s2", begin=7, node="a"), span(node="b")])
    assert read_spans(path) == [span(node="b"), span(id="s2", begin=7, node="a")]
