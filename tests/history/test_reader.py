"""The history format: what is read, what is refused and with which line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blackstart.history.reader import read_events, read_history
from blackstart.history.records import NEVER, OK
from blackstart.model.errors import EvidenceError
from tests.measure.histories import HEADER, KILL, begin, end, gate, objectives, save_lines

Line = dict[str, Any]


def invoke(index: int = 0, time: int = 0, process: int = 1, f: str = "w", **more: Any) -> Line:
    head = {"index": index, "time": time, "process": process, "type": "invoke", "f": f}
    return {**head, "intended": time, **more}


def done(
    index: int = 1, time: int = 1, process: int = 1, f: str = "w", type_: str = "ok", **more: Any
) -> Line:
    return {"index": index, "time": time, "process": process, "type": type_, "f": f, **more}


def without(line: Line, name: str) -> Line:
    return {k: v for k, v in line.items() if k != name}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


def refused(path: Path) -> str:
    with pytest.raises(EvidenceError) as caught:
        read_history(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


WRITE = {"key": "k", "id": 1}

MALFORMED: dict[str, tuple[list[Line], int]] = {
    "an invoke while one is open": ([invoke(), invoke(1)], 3),
    "a completion without an invoke": ([done(0)], 2),
    "a second completion": ([invoke(), done(), done(2)], 4),
    "a late ok after info": ([invoke(), done(type_="info"), done(2)], 4),
    "a completion of another process": ([invoke(), done(process=2)], 3),
    "a completion for another f": ([invoke(), done(f="r")], 3),
    "a completion for another key": ([invoke(value=WRITE), done(value={"key": "j", "id": 1})], 3),
    "a completion for another id": ([invoke(value=WRITE), done(value={"key": "k", "id": 2})], 3),
    "a completion for an id of another type": ([invoke(value=WRITE), done(value={"key": "k", "id": "1"})], 3),
    "a failure for another id": ([invoke(value=WRITE), done(type_="fail", value={"id": 2})], 3),
    "a read of another key": (
        [invoke(value={"key": "k"}), done(value={"key": "j", "ids": []})],
        3,
    ),
    "time going back": ([invoke(time=5), done(time=4)], 3),
    "a negative time": ([invoke(time=-1)], 2),
    "a negative intended time": ([invoke(intended=-1)], 2),
    "a repeated index": ([invoke(7), done(7)], 3),
    "a repeated index further on": ([invoke(5), done(9), invoke(2, time=2), done(5, time=3)], 5),
    "a repeated small index": ([invoke(1), done(2), invoke(0, time=2), done(0, time=3)], 5),
    "a repeated first index": ([invoke(0), done(0)], 3),
    "an invoke without intended": ([without(invoke(), "intended")], 2),
    "a float as intended": ([invoke(intended=1.0)], 2),
    "a boolean as intended": ([invoke(intended=True)], 2),
    "intended null": ([invoke(intended=None)], 2),
    "final that is not true": ([without(invoke(final=1), "intended")], 2),
    "no index": ([without(invoke(), "index")], 2),
    "no time": ([without(invoke(), "time")], 2),
    "no process": ([without(invoke(), "process")], 2),
    "no type": ([without(invoke(), "type")], 2),
    "no f": ([without(invoke(), "f")], 2),
    "no f on the completion": ([invoke(), without(done(), "f")], 3),
    "a string as index": ([{**invoke(), "index": "0"}], 2),
    "a boolean as index": ([{**invoke(), "index": True}], 2),
    "a float as time": ([{**invoke(), "time": 0.0}], 2),
    "a string as process": ([{**invoke(), "process": "1"}], 2),
    "f that is no string": ([{**invoke(), "f": 3}], 2),
    "an unknown type": ([invoke(), done(type_="maybe")], 3),
    "a type that is no string": ([{**invoke(), "type": ["invoke"]}], 2),
    "a list as id": ([invoke(value={"key": "k", "id": [1]})], 2),
    "a boolean as key": ([invoke(value={"key": True, "id": 1})], 2),
    "ids that are no list": ([invoke(), done(value={"key": "k", "ids": 3})], 3),
    "an id in ids that is no name": ([invoke(), done(value={"key": "k", "ids": [1, None]})], 3),
    "a term that is no integer": ([invoke(value=WRITE), done(node={"id": "n", "term": "2"})], 3),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_lines_are_refused_by_their_number(case: str, path: Path) -> None:
    lines, at = MALFORMED[case]
    save_lines(path, [HEADER, *lines])
    assert refused(path).startswith(f"line {at}: ")


@pytest.mark.parametrize(
    "header", [{"blackstart": 2}, {"blackstart": "1"}, {"blackstart": True}, {}, invoke()]
)
def test_header_must_be_of_version_1(header: Line, path: Path) -> None:
    save_lines(path, [header, invoke()])
    assert refused(path).startswith("line 1: ")


def test_header_with_a_long_number_is_no_way_around(path: Path) -> None:
    save_lines(path, [invoke(value=10**30), done()])
    assert refused(path).startswith("line 1: ")


def test_other_header_fields_may_be_missing(path: Path) -> None:
    save_lines(path, [{"blackstart": 1}])
    assert len(read_history(path)) == 0


def test_an_empty_file_has_no_header(path: Path) -> None:
    path.write_bytes(b"")
    assert "header" in refused(path)
    path.write_bytes(b"\n \n")
    assert "header" in refused(path)
    path.write_bytes(b'{"blackst')
    assert "header" in refused(path)


def test_a_missing_file_and_a_folder_are_named(path: Path) -> None:
    assert refused(path) == "No such file or directory"
    path.mkdir()
    assert refused(path) == "Is a directory"


def test_blank_lines_are_skipped_and_counted(path: Path) -> None:
    text = "\n".join(json.dumps(line) for line in [HEADER, invoke(), done()])
    path.write_text("\n" + text.replace("\n", "\n\r\n  \n") + "\n\n")
    assert len(read_history(path)) == 1
    path.write_text("\n" + text.replace("\n", "\n\n") + "\n\n{}\n")
    assert refused(path).startswith("line 8: ")


@pytest.mark.parametrize("torn", ['{"index": 2, "ti', '{"index": 2, "time": 3}, "x"', "\0\0\0", "{\xff"])
def test_a_torn_last_line_is_ignored_with_a_note(torn: str, path: Path) -> None:
    save_lines(path, [HEADER, invoke(), done()])
    with path.open("ab") as file:
        file.write(torn.encode("latin-1"))
    history = read_history(path)
    assert len(history) == 1 and len(history.notes) == 1
    assert f"{path}: line 4:" in history.notes[0]
    with path.open("ab") as file:
        file.write(b"\n")
    assert refused(path).startswith("line 4: ")


def test_a_last_line_without_newline_counts_if_it_parses(path: Path) -> None:
    save_lines(path, [HEADER, invoke(), done()])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert list(read_history(path).status) == [OK]
    with path.open("ab") as file:
        file.write(b"\n[]")
    assert refused(path).startswith("line 4: ")


def test_a_process_may_be_used_again_after_its_completion(path: Path) -> None:
    lines = []
    for n, type_ in enumerate(["ok", "fail", "info", "ok"]):
        lines += [invoke(2 * n, time=n), done(2 * n + 1, time=n, type_=type_)]
    save_lines(path, [HEADER, *lines])
    assert len(read_history(path)) == 4


def test_indexes_need_not_grow(path: Path) -> None:
    save_lines(path, [HEADER, invoke(5), done(3), invoke(-2, time=2), done(2**70, time=2)])
    assert len(read_history(path)) == 2


def test_an_open_invoke_never_completed(path: Path) -> None:
    save_lines(path, [HEADER, invoke()])
    history = read_history(path)
    assert list(history.completed) == [NEVER] and history.status[0] != OK


def test_closing_reads_need_no_intended(path: Path) -> None:
    read = without(invoke(final=True, value={"key": "k"}), "intended")
    save_lines(path, [HEADER, read, done(final=True, value={"key": "k", "ids": []})])
    assert list(read_history(path).final) == [1]


def test_a_completion_may_omit_key_and_id_or_bring_them(path: Path) -> None:
    lines = [invoke(value=WRITE), done(), invoke(2, time=2), done(3, time=2, value=WRITE)]
    save_lines(path, [HEADER, *lines])
    assert list(read_history(path).write_op) == [0]


def test_integers_beyond_64_bits_stay_what_they_are(path: Path) -> None:
    big = 2**64 + 1
    write = {"key": big, "id": big + 1}
    lines = [invoke(value=write), done(value=write)]
    read = [invoke(2, time=2), done(3, time=2, value={"key": big, "ids": [big + 2, big + 3]})]
    save_lines(path, [HEADER, *lines, *read])
    history = read_history(path)
    assert history.keys == [big]
    assert history.entry_id == [big + 1, big + 2, big + 3]
    save_lines(path, [HEADER, invoke(value=write), done(value={"key": big, "id": big})])
    assert refused(path).startswith("line 3: ")
    save_lines(path, [HEADER, invoke(time=2**63)])
    assert refused(path).startswith("line 2: ")


# -- events ---------------------------------------------------------------------------------------------


@pytest.fixture
def events_path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


BAD_EVENTS: dict[str, tuple[list[Line], int]] = {
    "a fault event other than begin or end": ([{**begin(1), "event": "bite"}], 1),
    "an end of no fault in force": ([end(1)], 1),
    "a second end": ([begin(1), end(2), end(3)], 3),
    "an end of another fault": ([begin(1), end(2, {**KILL, "target": "app-1"})], 2),
    "an end of a fault with another type": ([begin(1, {"n": 1}), end(2, {"n": "1"})], 2),
    "true is not 1": ([begin(1, {"n": 1}), end(2, {"n": True})], 2),
    "a fault event without fault": ([without(begin(1), "fault")], 1),
    "time going back": ([begin(2), end(1)], 2),
    "a negative time": ([begin(-1)], 1),
    "no time": ([without(begin(1), "time")], 1),
    "a float as time": ([{**begin(1), "time": 1.5}], 1),
    "no source": ([without(begin(1), "source")], 1),
    "no event": ([without(begin(1), "event")], 1),
    "objectives that are no object": ([{**objectives(), "objectives": [1]}], 1),
    "a gate without name": ([without(gate(), "gate")], 1),
}


@pytest.mark.parametrize("case", BAD_EVENTS)
def test_malformed_events_are_refused_by_their_number(case: str, events_path: Path) -> None:
    lines, at = BAD_EVENTS[case]
    save_lines(events_path, lines)
    with pytest.raises(EvidenceError, match=f"events.jsonl: line {at}: "):
        read_events(events_path)


def test_events_must_exist_but_may_be_empty(events_path: Path) -> None:
    with pytest.raises(EvidenceError, match="No such file"):
        read_events(events_path)
    events_path.touch()
    assert read_events(events_path).faults == []


def test_identical_faults_end_oldest_first(events_path: Path) -> None:
    save_lines(events_path, [begin(1), begin(2), end(3), end(5)])
    spans = [(f.begin / 1e9, (f.end or 0) / 1e9) for f in read_events(events_path).faults]
    assert spans == [(1, 3), (2, 5)]


def test_faults_are_equal_as_data_not_as_text(events_path: Path) -> None:
    save_lines(events_path, [begin(1, {"a": 1, "b": {"c": 2.0}}), end(2, {"b": {"c": 2}, "a": 1})])
    assert read_events(events_path).faults[0].end == 2_000_000_000


def test_other_events_are_kept_and_mean_nothing(events_path: Path) -> None:
    other = {"time": 1, "source": "patroni", "event": "leader", "instance": "pg-2"}
    save_lines(events_path, [objectives(rto="10s"), other, gate(1)])
    events = read_events(events_path)
    assert events.objectives == {"rto": "10s"} and events.gates == ["load-lag"]
    assert events.lines[1] == other and not events.faults


def test_a_torn_last_event_is_ignored_with_a_note(events_path: Path) -> None:
    save_lines(events_path, [begin(1)])
    with events_path.open("a") as file:
        file.write('{"time": 5, "sou')
    events = read_events(events_path)
    assert len(events.faults) == 1 and "line 2" in events.notes[0]
