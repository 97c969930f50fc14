"""Keys, process numbers, the recorder, the meter: what the history's rules rest on."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from blackstart.load.keys import KeyPool
from blackstart.load.meter import Meter, nearest_rank
from blackstart.load.outcome import Outcome
from blackstart.load.recorder import Recorder
from blackstart.load.runner import Processes
from blackstart.model.errors import LoadError


def test_a_session_in_use_is_passed_over_and_an_indeterminate_one_retired() -> None:
    pool = KeyPool("chat", "r", 2, one_at_a_time=True, seed=0)
    a, b, c = pool.take(), pool.take(), pool.take()
    assert len({a, b, c}) == 3
    pool.give_back(b, "ok")
    pool.give_back(a, "fail")
    pool.give_back(c, "info")
    assert [pool.take(), pool.take()] == [b, a]
    assert pool.take() not in (a, b, c)
    assert pool.readable() == b
    assert len(pool.all) == 4


def test_shared_keys_go_around_whatever_is_in_flight() -> None:
    pool = KeyPool("sql write", "r", 2, one_at_a_time=False, seed=0)
    assert [pool.take() for _ in range(4)] == ["sql-write-r-0", "sql-write-r-1"] * 2
    pool.give_back("sql-write-r-1", "fail")
    pool.give_back("sql-write-r-1", "info")
    assert [pool.take() for _ in range(4)] == ["sql-write-r-0", "sql-write-r-1"] * 2
    assert pool.readable() is None


def test_a_process_number_is_not_used_again_after_an_info() -> None:
    processes = Processes()
    assert [processes.take(), processes.take()] == [0, 1]
    processes.give_back(0, "info")
    processes.give_back(1, "fail")
    assert [processes.take(), processes.take()] == [1, 2]


def test_each_line_is_on_record_at_once(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    times = iter((1_000, 1_500, 1_700))
    recorder = Recorder(path, 1_000, lambda: next(times))
    recorder.invoke(0, "w", 400, {"key": "k", "id": "i"})
    assert [orjson.loads(line) for line in path.read_bytes().splitlines()][1:] == [
        {
            "index": 0,
            "time": 500,
            "process": 0,
            "type": "invoke",
            "f": "w",
            "intended": 400,
            "value": {"key": "k", "id": "i"},
        }
    ]
    outcome = Outcome("ok", ids=["i"], node={"id": "pg-1", "term": 2}, fields={"replica": "app-1"})
    recorder.complete(0, "w", outcome, {"key": "k"}, final=True)
    assert orjson.loads(path.read_bytes().splitlines()[2]) == {
        "index": 1,
        "time": 700,
        "process": 0,
        "type": "ok",
        "f": "w",
        "node": {"id": "pg-1", "term": 2},
        "replica": "app-1",
        "value": {"key": "k", "ids": ["i"]},
        "final": True,
    }
    recorder.close()


def test_a_history_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("evidence")
    with pytest.raises(LoadError, match="File exists"):
        Recorder(path, 0)
    assert path.read_text() == "evidence"


def test_a_full_disk_is_said() -> None:
    with pytest.raises(LoadError, match=r"cannot write the history .*: (No space left|File exists)"):
        Recorder(Path("/dev/full"), 0)


def test_late_starts_trip_the_gate_for_their_second_only() -> None:
    meter = Meter()
    meter.started("w", 251_000_000)
    meter.ended("w", "fail", "refused")
    line = meter.line(1.0, 0)
    assert line["gate"] == "load-lag"
    assert line["errors"] == {"w: refused": 1}
    assert (line["due"], line["fail"], line["per_f"]["w"]["fail"]) == (1, 1, 1)
    assert "gate" not in meter.line(2.0, 0)


def test_nearest_rank() -> None:
    assert nearest_rank([float(n) for n in range(1, 101)], 0.99) == 99
    assert nearest_rank([5.0], 0.5) == 5
    assert nearest_rank([], 0.99) == 0
