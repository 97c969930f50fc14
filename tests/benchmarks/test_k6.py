"""k6's record and summary, as version 1.8.1 writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import k6

RECORD = """\
{"type":"Metric","data":{"name":"iteration_duration","type":"trend","contains":"time","thresholds":[],"submetrics":null},"metric":"iteration_duration"}
{"metric":"http_req_duration","type":"Point","data":{"time":"2026-11-21T19:32:01.4241Z","value":3.5,"tags":{"scenario":"chat","status":"200"}}}
{"metric":"iteration_duration","type":"Point","data":{"time":"2026-11-21T19:32:01.222134059Z","value":250,"tags":{"group":"","scenario":"chat"}}}
{"metric":"iteration_duration","type":"Point","data":{"time":"2026-11-21T21:32:02+02:00","value":1000,"tags":{"group":"","scenario":"read"}}}
{"metric":"iteration_duration","type":"Point","data":{"time":"2026-11-21T19:32"""

SAID = """
    HTTP
    http_req_duration....: avg=0s     min=0s      med=0s       max=0s     p(90)=0s      p(95)=0s
    http_req_failed......: 100.00% 11 out of 11

    EXECUTION
    dropped_iterations...: 3       1.5/s
    iterations...........: 11      5.491091/s
"""


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "out.json"
    path.write_text(RECORD)
    return path


def _at(second: int, microsecond: int = 0) -> float:
    return datetime(2026, 11, 21, 19, 32, second, microsecond, UTC).timestamp()


def test_an_iteration_began_its_duration_before_its_stamp(record: Path) -> None:
    found = k6.starts(record)
    assert found["chat"] == pytest.approx([_at(1, 222134) - 0.25], abs=1e-6)
    assert found["read"] == pytest.approx([_at(1)], abs=1e-6)


def test_points_of_other_metrics_and_a_torn_line_are_left_out(record: Path) -> None:
    [(at, value, tags)] = k6.points(record, "http_req_duration")
    assert at == pytest.approx(_at(1, 424100), abs=1e-6)
    assert (value, tags["status"]) == (3.5, "200")


def test_the_first_figure_of_a_line_of_the_summary_counts() -> None:
    told = k6.summary(SAID)
    assert (told["iterations"], told["dropped_iterations"], told["http_req_failed"]) == ("11", "3", "100.00%")
