"""The event writer: every line whole, in order, at once."""

from __future__ import annotations

import io
import itertools
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackstart.history.reader import read_events, read_history
from blackstart.history.writer import EventWriter, history_header
from blackstart.model.errors import EvidenceError


def test_lines_reach_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path, lambda: 5) as events:
        assert path.read_bytes() == b""
        assert events.write("patroni", "leader", instance="pg-2") == 5
        line = orjson.loads(path.read_bytes())
    assert line == {"time": 5, "source": "patroni", "event": "leader", "instance": "pg-2"}


def test_a_clock_that_goes_back_does_not_spoil_the_file(tmp_path: Path) -> None:
    times = iter([3, 2, 4])
    with EventWriter(tmp_path / "events.jsonl", lambda: next(times)) as events:
        assert [events.write("a", "b") for _ in range(3)] == [3, 3, 4]
    assert len(read_events(tmp_path / "events.jsonl").lines) == 3


def test_many_threads_write_whole_lines_in_order(tmp_path: Path) -> None:
    clock = itertools.count()
    events = EventWriter(tmp_path / "events.jsonl", lambda: next(clock))

    def work(name: str) -> None:
        for n in range(200):
            events.write(name, "tick", n=n, text="x" * 500)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events.close()
    events.close()
    assert len(read_events(tmp_path / "events.jsonl").lines) == 800


def test_writing_after_close_is_an_error(tmp_path: Path) -> None:
    events = EventWriter(tmp_path / "events.jsonl", lambda: 0)
    events.close()
    with pytest.raises(ValueError, match="closed"):
        events.write("a", "b")


def test_the_events_of_another_run_are_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"of another run\n")
    with pytest.raises(EvidenceError, match=r"events\.jsonl: is there already: the folder holds a run"):
        EventWriter(path, lambda: 0)
    assert path.read_bytes() == b"of another run\n"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"none/events\.jsonl: cannot be written: No such file"):
        EventWriter(tmp_path / "none" / "events.jsonl", lambda: 0)


def test_a_full_disk_is_named_and_tears_no_line(tmp_path: Path) -> None:
    class Filling(io.FileIO):
        """Without `room` it takes a line but for its end, then nothing."""

        room, taken = True, 0

        def write(self, data: Any) -> int:
            if not self.room:
                self.taken += 1
                if self.taken > 1:
                    raise OSError(28, "No space left on device")
                return super().write(bytes(data)[:-1])
            return super().write(data)

    events = EventWriter(tmp_path / "events.jsonl", lambda: 0)
    events._file.close()
    disk = Filling(tmp_path / "events.jsonl", "wb")
    events._file = disk
    events.write("a", "before")
    disk.room = False
    with pytest.raises(EvidenceError, match=r"events\.jsonl: cannot be written: No space left"):
        events.write("a", "lost", why="longer than the line that takes its place")
    disk.room = True
    events.write("a", "after")
    events.close()
    assert [e["event"] for e in read_events(events.path).lines] == ["before", "after"]
    assert events.path.read_bytes().endswith(b'"after"}\n')


def test_the_header_is_one_that_the_reader_takes(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(history_header(123))
    assert read_history(path).header["start_ns"] == 123
