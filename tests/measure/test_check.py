"""The checkers: what each must find, and what it must not; every mutation of a known history is found."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blackstart.measure.check import check
from tests.measure.histories import HEADER, Script, save_lines

LISTS = ["lost", "duplicate", "resurrected", "recovered", "unexpected", "never_read"]
LISTS += ["stale_reads", "split_brain"]


def found(script: Script, folder: Path, *, linearizable: bool = False) -> dict[str, Any]:
    """The verdict and the lists that are not empty."""
    path = save_lines(folder / "history.jsonl", [HEADER, *script.lines()])
    result = check(path, linearizable=linearizable)
    assert list(result) == ["verdict", *LISTS]
    return {name: value for name, value in result.items() if value}


def node(id_: Any, term: int | None = None, system: str | None = None) -> dict[str, Any]:
    full = {"id": id_, "term": term, "system": system}
    return {"node": {k: v for k, v in full.items() if v is not None}}


def test_all_is_well(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1).write("k", 2, 2, "fail").close("k", [1], 3)
    assert found(script, tmp_path) == {"verdict": "pass"}


def test_an_acknowledged_write_that_is_gone_is_lost(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1).write("k", 2, 2).close("k", [2], 3)
    assert found(script, tmp_path) == {"verdict": "fail", "lost": [1]}


def test_only_a_write_acknowledged_before_the_read_can_be_lost(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1, took=3).close("k", [], 3)
    assert found(script, tmp_path) == {"verdict": "unknown", "never_read": ["k"]}


def test_line_order_decides_at_equal_times(tmp_path: Path) -> None:
    before = Script().write("k", 1, 1, took=0).close("k", [], 1)
    assert found(before, tmp_path)["lost"] == [1]
    after = Script().close("k", [], 1).write("k", 1, 1, took=0)
    assert found(after, tmp_path) == {"verdict": "unknown", "never_read": ["k"]}


def test_the_last_ok_final_read_by_completion_counts(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1).close("k", [], 2, took=5).close("k", [1], 3)
    assert found(script, tmp_path)["lost"] == [1]
    other = Script().write("k", 1, 1).close("k", [1], 2, took=5).close("k", [], 3)
    assert found(other, tmp_path) == {"verdict": "pass"}
    failed = Script().write("k", 1, 1).close("k", [1], 2)
    failed.op("read", 4, "fail", final=True, value={"key": "k"})
    assert found(failed, tmp_path) == {"verdict": "pass"}


def test_a_read_is_an_ok_with_key_and_ids_whatever_its_f(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1)
    script.op("write", 3, final=True, answer={"key": "k", "ids": []})
    assert found(script, tmp_path)["lost"] == [1]
    no_key = Script().write("k", 1, 1).op("get", 3, final=True, value={"key": "k"}, answer={"ids": []})
    assert found(no_key, tmp_path) == {"verdict": "unknown", "never_read": ["k"]}
    info = Script().write("k", 1, 1).op("write", 3, "info", final=True, answer={"key": "k", "ids": []})
    assert found(info, tmp_path) == {"verdict": "unknown", "never_read": ["k"]}


def test_an_operation_is_a_write_by_its_invoke(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1, answer=None).close("k", [], 3)
    assert found(script, tmp_path)["lost"] == [1]
    by_answer = Script().op("write", 1, value={"key": "k"}, answer={"key": "k", "id": 1}).close("k", [], 3)
    assert found(by_answer, tmp_path) == {"verdict": "pass"}


def test_present_twice_is_a_duplicate(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1).close("k", [1, 1, 1], 3)
    assert found(script, tmp_path) == {"verdict": "fail", "duplicate": [1]}


def test_failed_for_certain_yet_present_is_resurrected(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1, "fail").write("k", 2, 1, "fail").close("k", [2], 3)
    assert found(script, tmp_path) == {"verdict": "fail", "resurrected": [2]}


def test_indeterminate_and_present_is_recovered_and_no_defect(tmp_path: Path) -> None:
    script = Script().write("k", 1, 0).write("k", 2, 1, "info").write("k", 3, 2, None)
    assert found(script.close("k", [1, 2, 3], 3), tmp_path) == {"verdict": "pass", "recovered": [2, 3]}


def test_ids_never_attempted_under_the_key_are_unexpected(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1).write("j", 2, 1).close("k", [1, 2, 7], 3).close("j", [2], 3)
    assert found(script, tmp_path) == {"verdict": "fail", "unexpected": [2, 7]}
    foreign = Script().close("k", [9, 9], 3)
    assert found(foreign, tmp_path) == {"verdict": "fail", "duplicate": [9], "unexpected": [9]}


def test_one_is_not_the_string_one(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1).close("k", ["1"], 3)
    assert found(script, tmp_path) == {"verdict": "fail", "lost": [1], "unexpected": ["1"]}
    keys = Script().write(1, 5, 1).close("1", [5], 3)
    assert found(keys, tmp_path) == {"verdict": "fail", "unexpected": [5], "never_read": [1]}


def test_keys_that_no_final_read_covers(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1).write("j", 2, 1).write("i", 3, 1, "fail").close("j", [2], 3)
    assert found(script, tmp_path) == {"verdict": "unknown", "never_read": ["k", "i"]}


def test_a_failed_write_is_covered_after_its_last_attempt(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1, "fail").close("k", [], 2).write("k", 1, 3, "fail")
    assert found(script, tmp_path) == {"verdict": "unknown", "never_read": ["k"]}


def test_an_indeterminate_write_is_covered_after_its_first_invoke(tmp_path: Path) -> None:
    script = Script().write("k", 0, 0).write("k", 1, 1, "info").close("k", [0], 2).write("k", 1, 3, "fail")
    assert found(script, tmp_path) == {"verdict": "pass"}


def test_several_attempts_are_one_operation(tmp_path: Path) -> None:
    acked = Script().write("k", 1, 1, "info").write("k", 1, 2, "fail").write("k", 1, 3).close("k", [], 4)
    assert found(acked, tmp_path) == {"verdict": "fail", "lost": [1]}
    unsure = Script().write("k", 0, 0).write("k", 1, 1, "info").write("k", 1, 2, "fail")
    assert found(unsure.close("k", [0, 1], 4), tmp_path) == {"verdict": "pass", "recovered": [1]}


def test_the_first_acknowledgement_of_several_counts(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1, took=9).write("k", 1, 2).read("k", [], 4).close("k", [], 5)
    assert found(script, tmp_path) == {"verdict": "fail", "lost": [1], "stale_reads": [4]}


def test_ids_are_listed_once_in_the_order_of_first_invoke(tmp_path: Path) -> None:
    script = Script().write("k", 9, 1, took=1).write("k", 3, 1.1).write("j", 9, 1.2).write("k", 3, 2)
    script.close("k", [], 5).close("j", [], 4)
    assert found(script, tmp_path)["lost"] == [9, 3]


def test_stale_reads_are_the_indexes_of_their_oks(tmp_path: Path) -> None:
    script = Script().write("k", 1, 1).read("k", [], 1.005).read("k", [], 2).read("k", [1], 3)
    script.read("j", [], 4).close("k", [1], 5)
    index = next(n for n, line in enumerate(script.lines()) if line["time"] == 2_010_000_000)
    assert found(script, tmp_path) == {"verdict": "pass", "stale_reads": [index]}
    assert found(script, tmp_path, linearizable=True)["verdict"] == "fail"


def test_unknown_without_final_read_or_for_a_kind_without_ok(tmp_path: Path) -> None:
    assert found(Script(), tmp_path) == {"verdict": "unknown"}
    assert found(Script().op("ping", 1), tmp_path) == {"verdict": "unknown"}
    script = Script().write("k", 1, 1).close("k", [1], 3).op("chat", 1, "fail")
    assert found(script, tmp_path) == {"verdict": "unknown"}


# -- split brain ----------------------------------------------------------------------------------------


def terms(*acks: tuple[float, float, dict[str, Any]]) -> Script:
    """Writes 0, 1, … with due, duration and node; all are there in the end."""
    script = Script()
    for n, (due, took, who) in enumerate(acks):
        script.write("k", n, due, took=took, **who)
    return script.close("k", range(len(acks)), 50)


@pytest.mark.parametrize(
    ("acks", "split"),
    [
        ([(1, 0.1, node("a", 1)), (2, 0.1, node("b", 2))], []),
        ([(1, 0.1, node("a", 1)), (2, 0.1, node("b", 2)), (3, 0.1, node("a", 1))], [2]),
        # invoked before the newer term acknowledged: the old primary may have answered first
        ([(1, 0.1, node("a", 1)), (2, 0.5, node("b", 2)), (2.1, 1, node("a", 1))], []),
        ([(1, 0.1, node("a", 1)), (2, 0.1, node("b", 1))], [1]),
        ([(1, 5, node("a", 1)), (2, 0.1, node("b", 1))], [0]),
        ([(1, 0.1, node("a", 2, "pg")), (2, 0.1, node("b", 1, "redis"))], []),
        ([(1, 0.1, node("a", 2, "pg")), (2, 0.1, node("b", 1, "pg"))], [1]),
        ([(1, 0.1, node("a", 2, "pg")), (2, 0.1, node("b", 1))], []),
        ([(1, 0.1, node("a", 2)), (2, 0.1, node("b", 1))], [1]),
        ([(1, 0.1, node("a", 2)), (2, 0.1, node("b"))], []),
        ([(1, 0.1, node("a", 2)), (2, 0.1, {"node": "b"})], []),
    ],
)
def test_split_brain(acks: list[Any], split: list[int], tmp_path: Path) -> None:
    assert found(terms(*acks), tmp_path).get("split_brain", []) == split


def test_only_ledger_acknowledgements_tell_of_split_brain(tmp_path: Path) -> None:
    script = terms((1, 0.1, node("a", 1)), (3, 0.1, node("a", 1)))
    script.op("ping", 2, **node("b", 2)).read("k", [0], 2, **node("b", 2))
    script.write("k", 9, 2, "info", **node("b", 2))
    assert found(script, tmp_path) == {"verdict": "pass"}


# -- mutations ------------------------------------------------------------------------------------------

Lines = list[dict[str, Any]]


def known() -> Lines:
    """A failover: 60 writes on two keys, some of which failed or hung, read again in the end."""
    script = Script()
    held: dict[str, list[int]] = {"k": [], "j": []}
    for n in range(60):
        key, type_ = "kj"[n % 2], "info" if n in (30, 31) else "fail" if n in (32, 33) else "ok"
        who = node("pg-1", 1, "pg") if n < 30 else node("pg-2", 2, "pg")
        script.write(key, n, n / 10, type_, **(who if type_ == "ok" else {}))
        if type_ == "ok" or n == 30:
            held[key].append(n)
        if n % 10 == 9:
            script.read(key, held[key], n / 10 + 0.05)
    script.close("k", held["k"], 10).close("j", held["j"], 10)
    return [HEADER, *script.lines()]


def acks(lines: Lines) -> Lines:
    return [line for line in lines if line.get("type") == "ok" and "id" in (line.get("value") or {})]


def finals(lines: Lines) -> Lines:
    return [line for line in lines if line.get("type") == "ok" and line.get("final")]


def drop_from_the_final_read(lines: Lines, rng: random.Random) -> None:
    gone = rng.choice([i for i in rng.choice(finals(lines))["value"]["ids"] if i != 30])
    for line in finals(lines):
        line["value"]["ids"] = [i for i in line["value"]["ids"] if i != gone]


def duplicate_in_the_final_read(lines: Lines, rng: random.Random) -> None:
    ids = rng.choice(finals(lines))["value"]["ids"]
    ids.insert(rng.randrange(len(ids)), rng.choice(ids))


def turn_an_ack_into_a_failure(lines: Lines, rng: random.Random) -> None:
    rng.choice(acks(lines))["type"] = "fail"


def bring_a_failed_write_back(lines: Lines, rng: random.Random) -> None:
    final = rng.choice(finals(lines))
    final["value"]["ids"].append(32 if final["value"]["key"] == "k" else 33)


def invent_an_id(lines: Lines, rng: random.Random) -> None:
    rng.choice(finals(lines))["value"]["ids"].append(rng.randrange(100, 200))


def move_an_id_to_the_other_key(lines: Lines, rng: random.Random) -> None:
    one, other = finals(lines)
    other["value"]["ids"].append(one["value"]["ids"].pop(rng.randrange(15)))


def turn_an_id_into_a_string(lines: Lines, rng: random.Random) -> None:
    ids = rng.choice(finals(lines))["value"]["ids"]
    n = rng.randrange(len(ids))
    ids[n] = str(ids[n])


def acknowledge_on_the_old_timeline(lines: Lines, rng: random.Random) -> None:
    line = rng.choice([line for line in acks(lines) if line["value"]["id"] > 35])
    line["node"] = {"id": "pg-1", "term": 1, "system": "pg"}


def acknowledge_by_another_node(lines: Lines, rng: random.Random) -> None:
    rng.choice(acks(lines))["node"]["id"] = "pg-3"


def skip_ahead_in_terms(lines: Lines, rng: random.Random) -> None:
    rng.choice(acks(lines)[:-4])["node"]["term"] = 3


def drop_a_final_read(lines: Lines, rng: random.Random) -> None:
    gone = rng.choice(finals(lines))
    lines[:] = [x for x in lines if x.get("process") != gone["process"]]


def stale_read(lines: Lines, rng: random.Random) -> None:
    reads = [x for x in lines if x.get("type") == "ok" and "ids" in x["value"] and not x.get("final")]
    ids = rng.choice(reads)["value"]["ids"]
    if 30 in ids:
        ids.remove(30)
    ids.pop(rng.randrange(len(ids)))


MUTATIONS: dict[Callable[[Lines, random.Random], None], tuple[str, str]] = {
    drop_from_the_final_read: ("lost", "fail"),
    duplicate_in_the_final_read: ("duplicate", "fail"),
    turn_an_ack_into_a_failure: ("resurrected", "fail"),
    bring_a_failed_write_back: ("resurrected", "fail"),
    invent_an_id: ("unexpected", "fail"),
    move_an_id_to_the_other_key: ("unexpected", "fail"),
    turn_an_id_into_a_string: ("unexpected", "fail"),
    acknowledge_on_the_old_timeline: ("split_brain", "fail"),
    acknowledge_by_another_node: ("split_brain", "fail"),
    skip_ahead_in_terms: ("split_brain", "fail"),
    drop_a_final_read: ("never_read", "unknown"),
    stale_read: ("stale_reads", "fail"),
}


def test_the_known_history_is_clean(tmp_path: Path) -> None:
    result = check(save_lines(tmp_path / "h.jsonl", known()), linearizable=True)
    assert {name: value for name, value in result.items() if value} == {"verdict": "pass", "recovered": [30]}


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda m: m.__name__)
def test_every_mutation_of_a_known_history_is_found(
    mutate: Callable[[Lines, random.Random], None], tmp_path: Path
) -> None:
    clean = known()
    for seed in range(25):
        lines = copy.deepcopy(clean)
        mutate(lines, random.Random(seed))
        result = check(save_lines(tmp_path / "h.jsonl", lines), linearizable=True)
        name, verdict = MUTATIONS[mutate]
        assert result[name], f"seed {seed}: {result}"
        assert result["verdict"] == verdict
