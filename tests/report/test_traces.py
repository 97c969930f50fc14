"""Where single operations spent their time: which are shown, and what of their spans."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blackstart.report import build, traces
from blackstart.report.traces import Traced, choose
from tests.report.synth import Synth

MS = 1_000_000
Line = dict[str, Any]


def span(name: str, id: str, parent: str, begin: int, end: int, node: str = "app-1", **more: Any) -> Line:
    """A span of the trace `t`; times in ms."""
    ids = {"trace_id": "t", "span_id": id, "parent_id": parent}
    return {"span": name, "node": node, **ids, "begin_ns": begin * MS, "end_ns": end * MS, **more}


CHAT = (
    span("llm chat", "c", "a", 30, 90),
    span("POST /chat", "a", "client", 0, 100, status=200, error=None),
    span("POST /v1/chat/completions", "d", "c", 35, 85, "llm-1", fault="slow_tokens"),
    span("db lock", "b", "a", 5, 25),
)


def traced(due: float, took: float, error: str | None = None, spans: Sequence[Line] = CHAT) -> Traced:
    return Traced("chat", due, due + took, error, spans)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def view(*operations: Traced) -> Line:
    found = traces.view(operations, [(10.0, 20.0)], 10.0)
    assert found is not None
    return found


def test_the_slowest_answers_of_the_fault_come_first_then_the_first_failures() -> None:
    oks = [traced(10 + n, n) for n in range(5)]
    bad = [traced(18 - n, 1, "http-503") for n in range(4)]
    early, late, before = traced(9, 90), traced(21, 90), traced(5, 1, "http-500")
    chosen = choose([early, *oks, *bad, late, before], [(10.0, 20.0)])
    assert [(each.due, each.error) for each in chosen] == [
        *((14, None), (13, None), (12, None)),
        *((15, "http-503"), (16, "http-503"), (17, "http-503")),
    ]
    assert choose([early, before], []) == [early, before]


def test_an_operations_time_goes_to_the_innermost_span_that_covers_it() -> None:
    [shown] = view(traced(11.5, 0.13))["operations"]
    assert plain(shown["title"]) == "chat due T+1.500 s: answered after 130 ms"
    assert plain(shown["spent"]) == (
        "50 ms in POST /v1/chat/completions (llm-1), 30 ms outside of all spans, 20 ms in POST /chat (app-1) "
        "and 20 ms in db lock (app-1)"
    )
    assert [[plain(cell) for cell in row] for row in shown["rows"]] == [
        ["app-1: POST /chat", "0 s", "100 ms", "20 ms", "–"],
        ["app-1: db lock", "5 ms", "20 ms", "20 ms", "–"],
        ["app-1: llm chat", "30 ms", "60 ms", "10 ms", "–"],
        ["llm-1: POST /v1/chat/completions", "35 ms", "50 ms", "50 ms", "fault slow_tokens"],
    ]


def test_children_that_run_at_once_are_not_counted_twice() -> None:
    spans = [span("all", "a", "", 0, 100), *(span("one", f"b{n}", "a", 10 + n, 60 + n) for n in range(3))]
    [shown] = view(traced(11, 0.1, spans=spans))["operations"]
    assert plain(shown["rows"][0][3]) == "48 ms"


def test_spans_that_are_each_others_parents_are_shown_once_each() -> None:
    spans = [span("one", "a", "b", 0, 10), span("two", "b", "a", 0, 10), span("self", "c", "c", 0, 10)]
    [shown] = view(traced(11, 0.01, spans=spans))["operations"]
    assert sorted(row[0] for row in shown["rows"]) == ["app-1: one", "app-1: self", "app-1: two"]


def test_spans_without_end_do_not_grow_the_chart() -> None:
    spans = [span("step", f"s{n}", "", n, n + 1) for n in range(200)]
    [shown] = view(traced(11, 0.2, spans=spans))["operations"]
    assert str(shown["chart"]).count("<rect") == 16


def test_a_report_shows_the_operations_that_were_traced_and_hides_their_secrets(tmp_path: Path) -> None:
    synth = Synth(seconds=12, begin=4.02, end=9.5, outage=0.9)
    folder = synth.write(tmp_path / "drill")
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    due: dict[int, int] = {}
    for line in lines[1:]:
        if line["type"] == "invoke":
            due[line["process"]] = line.get("intended", 0)
        elif line["f"] == "chat" and due[line["process"]] > 4.1e9:
            line["trace_id"] = f"t{line['index']}"
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    names = [line["trace_id"] for line in lines if "trace_id" in line]
    told = [
        {
            **each,
            "trace_id": name,
            "span_id": f"{name}-{each['span_id']}",
            "parent_id": f"{name}-{each['parent_id']}",
        }
        for name in names[:8]
        for each in (*CHAT, span(f"<b>{synth.secret}</b>", "e", "a", 91, 95))
    ]
    text = "".join(json.dumps(line) + "\n" for line in told)
    (folder / "spans.jsonl").write_text(text)
    (folder / "logs" / "app-1.log").write_text(text + "WARN: slow\n")
    build.build(folder, [synth.secret])
    page, short = (plain((folder / name).read_text()) for name in ("report.html", "report.md"))
    assert "Of 8 operations that left a trace: the slowest answers while the fault was in force" in page
    assert page.count("of it its own") >= 3
    assert "## Where single operations spent their time" in short
    assert "50 ms in POST /v1/chat/completions (llm-1)" in short.replace("\\", "")
    assert "&lt;b&gt;[redacted]&lt;/b&gt;" in page
    assert synth.secret not in page + short
    assert "span_id" not in page and "WARN: slow" in page, "a log's excerpt is not filled with spans"


def test_without_spans_a_report_says_nothing_of_them(drill_folder: Path) -> None:
    assert "single operations" not in (drill_folder / "report.html").read_text()
    assert "single operations" not in (drill_folder / "report.md").read_text()
