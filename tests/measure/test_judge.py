"""Verdicts: with objectives, and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blackstart.measure.judge import Finding
from blackstart.measure.run import evaluate, measure
from blackstart.model.errors import EvidenceError
from blackstart.model.verdict import Verdict, worst
from tests.measure.histories import Script, begin, end, gate, objectives
from tests.measure.test_recovery import around

FAULT = [begin(5), end(6)]


def ledger(script: Script, held: list[Any], *written: Any, **more: Any) -> Script:
    for n, id_ in enumerate(written):
        script.write("k", id_, 4 + n / 100, **more)
    return script.close("k", held, 30)


def verdict(script: Script, folder: Path, *events: dict[str, Any]) -> str:
    found = measure(script.save(folder, events))["verdict"]
    assert found == worst(f.verdict for f in evaluate(folder).findings).value
    return str(found)


def one(script: Script, folder: Path, name: str, *events: dict[str, Any]) -> Finding:
    script.save(folder, events)
    return next(f for f in evaluate(folder).findings if f.objective == name)


# -- without objectives ---------------------------------------------------------------------------------


def test_a_good_run_without_ledger_needs_no_closing_read(tmp_path: Path) -> None:
    assert verdict(around(5, 6), tmp_path, *FAULT) == "pass"


def test_a_ledger_without_closing_read_is_unknown(tmp_path: Path) -> None:
    assert verdict(around(5, 6).write("k", 1, 4), tmp_path, *FAULT) == "unknown"


def test_a_defect_fails(tmp_path: Path) -> None:
    assert verdict(ledger(around(5, 6), [], 1), tmp_path, *FAULT) == "fail"


def test_a_censored_rto_fails(tmp_path: Path) -> None:
    assert verdict(around(5, 20), tmp_path, *FAULT) == "fail"


def test_no_load_is_unknown(tmp_path: Path) -> None:
    assert verdict(Script(), tmp_path) == "unknown"
    assert verdict(Script().close("k", [], 1), tmp_path) == "unknown"


def test_a_kind_without_ok_is_unknown(tmp_path: Path) -> None:
    assert verdict(around(5, 6).op("chat", 2, "fail"), tmp_path) == "unknown"


def test_a_fault_after_all_load_is_unknown(tmp_path: Path) -> None:
    assert verdict(around(5, 6), tmp_path, begin(19.9)) == "pass"
    assert verdict(around(5, 6), tmp_path, begin(19.901)) == "unknown"
    assert verdict(around(5, 6), tmp_path, *FAULT, begin(19.905)) == "unknown"


def test_load_that_ended_before_the_fault_is_unknown(tmp_path: Path) -> None:
    assert verdict(around(5, 6), tmp_path, begin(5), end(19.91)) == "pass"
    assert verdict(around(5, 6), tmp_path, begin(5), end(19.92)) == "unknown"


@pytest.mark.parametrize(("bad", "expected"), [(1, "pass"), (2, "unknown")])
def test_the_second_before_a_fault_must_be_clean(bad: int, expected: str, tmp_path: Path) -> None:
    script = Script().steady("sql", 0, 4, 0.1)
    for n in range(100):
        script.op("sql", 4 + n / 100, "fail" if n in (20, 60)[:bad] else "ok", took=0.001)
    assert verdict(script.steady("sql", 5, 20), tmp_path, *FAULT) == expected


def test_non_oks_open_at_the_begin_say_nothing_of_the_baseline(tmp_path: Path) -> None:
    script = Script().steady("sql", 0, 5)
    for n in range(5):
        script.op("sql", 4.9 + n / 100, "info", took=1)
    assert verdict(script.steady("sql", 6, 20), tmp_path, *FAULT) == "pass"


def test_completed_at_the_begin_counts_against_the_baseline(tmp_path: Path) -> None:
    script = Script().steady("sql", 0, 5).op("sql", 4.5, "info", took=0.5).steady("sql", 6, 20)
    assert verdict(script, tmp_path, *FAULT) == "unknown"


def test_a_baseline_without_operations_is_unknown(tmp_path: Path) -> None:
    script = Script().steady("sql", 0, 3).steady("sql", 6, 20)
    assert verdict(script, tmp_path, *FAULT) == "unknown"
    exactly = Script().op("sql", 4).steady("sql", 5, 20)
    assert verdict(exactly, tmp_path, *FAULT) == "pass"
    at_the_begin = Script().op("sql", 3.99).steady("sql", 5, 20)
    assert verdict(at_the_begin, tmp_path, *FAULT) == "unknown"


def test_empty_objectives_are_none(tmp_path: Path) -> None:
    assert verdict(around(5, 20), tmp_path, objectives(), *FAULT) == "fail"
    assert verdict(around(5, 20), tmp_path, objectives(rto=None), *FAULT) == "fail"


# -- with objectives ------------------------------------------------------------------------------------

# lo 0.9, hi 1.01
RTO_CASES = [("800ms", "fail"), (0.9, "unknown"), ("1s", "unknown"), ("1010ms", "pass"), ("2m", "pass")]


@pytest.mark.parametrize(("bound", "expected"), RTO_CASES)
def test_rto_is_judged_by_its_bounds(bound: Any, expected: str, tmp_path: Path) -> None:
    assert verdict(around(5, 6), tmp_path, objectives(rto=bound), *FAULT) == expected


def test_a_censored_rto_fails_whatever_the_bound(tmp_path: Path) -> None:
    assert verdict(around(5, 20), tmp_path, objectives(rto="1h"), *FAULT) == "fail"
    assert verdict(around(5, 20), tmp_path, objectives(availability=0), *FAULT) == "fail"


def test_an_rto_without_load_at_the_fault_is_unknown(tmp_path: Path) -> None:
    assert verdict(around(5, 6), tmp_path, objectives(rto="1h"), begin(30)) == "unknown"
    assert verdict(Script(), tmp_path, objectives(rto="1h")) == "unknown"


def test_availability_is_a_minimum_for_during(tmp_path: Path) -> None:
    script = around(5, 6)  # during: 5 to 6.01, 10 of 11 not ok
    assert verdict(script, tmp_path, objectives(availability=1 / 11), *FAULT) == "pass"
    assert verdict(script, tmp_path, objectives(availability=0.1), *FAULT) == "fail"
    assert verdict(script, tmp_path, objectives(availability=0.1)) == "unknown"


def test_counts_bound_the_lists_and_the_checker_stands(tmp_path: Path) -> None:
    script = ledger(around(5, 6), [1, 2], 1, 2)
    assert verdict(script, tmp_path, objectives(lost=0, duplicate=0), *FAULT) == "pass"
    gone = ledger(around(5, 6), [2], 1, 2)
    assert one(gone, tmp_path, "lost", objectives(lost=0), *FAULT).verdict is Verdict.FAIL
    assert one(gone, tmp_path, "lost", objectives(lost=1), *FAULT).verdict is Verdict.PASS
    assert verdict(gone, tmp_path, objectives(lost=1), *FAULT) == "fail"


def test_stale_reads_fail_only_as_an_objective(tmp_path: Path) -> None:
    script = ledger(around(5, 6), [1], 1).read("k", [], 10).read("k", [1], 11)
    assert verdict(script, tmp_path, *FAULT) == "pass"
    assert verdict(script, tmp_path, objectives(stale_reads=0), *FAULT) == "fail"


def test_rpo_bounds_the_oldest_loss(tmp_path: Path) -> None:
    script = ledger(around(5, 6), [2], 1, 2)  # id 1 invoked at 4 s
    assert one(script, tmp_path, "rpo", objectives(rpo="1s"), *FAULT).verdict is Verdict.PASS
    assert one(script, tmp_path, "rpo", objectives(rpo="999ms"), *FAULT).verdict is Verdict.FAIL
    assert one(script, tmp_path, "rpo", objectives(rpo="1h")).verdict is Verdict.UNKNOWN
    assert verdict(ledger(around(5, 6), [1], 1), tmp_path, objectives(rpo=0), *FAULT) == "pass"


@pytest.mark.parametrize(
    "bounds",
    [
        {"detection": "30s"},
        {"attempts": 1},
        {"lost": 0},
        {"split_brain": 0},
        {"stale_reads": 0},
        {"duplicate": 0},
        {"rpo": "5s"},
    ],
)
def test_what_the_files_cannot_show_is_unknown(bounds: dict[str, Any], tmp_path: Path) -> None:
    assert verdict(around(5, 6), tmp_path, objectives(**bounds), *FAULT) == "unknown"


def test_split_brain_is_shown_by_terms(tmp_path: Path) -> None:
    script = ledger(around(5, 6), [1], 1, node={"id": "pg-1", "term": 1})
    assert verdict(script, tmp_path, objectives(split_brain=0), *FAULT) == "pass"


def test_a_gate_voids_timing_never_an_invariant(tmp_path: Path) -> None:
    script = ledger(around(5, 6), [1], 1)
    events = [*FAULT, gate(7)]
    assert verdict(script, tmp_path, objectives(rto="1h"), *events) == "unknown"
    assert verdict(script, tmp_path, objectives(rto="1ms"), *events) == "unknown"
    assert verdict(script, tmp_path, objectives(availability=0), *events) == "unknown"
    assert verdict(script, tmp_path, objectives(lost=0), *events) == "pass"
    assert verdict(script, tmp_path, *events) == "pass"
    gone = ledger(around(5, 6), [], 1)
    assert verdict(gone, tmp_path, objectives(rto="1h", lost=0), *events) == "fail"


def test_objectives_are_not_mixed_with_the_rules_for_none(tmp_path: Path) -> None:
    script = around(5, 6).steady("chat", 0, 6)
    assert verdict(script, tmp_path, objectives(rto="1h"), begin(5), end(25)) == "pass"


@pytest.mark.parametrize(
    "bounds",
    [{"rto": "soon"}, {"rto": -1}, {"rto": [1]}, {"lost": "0"}, {"lost": True}, {"availability": 85}],
)
def test_a_bound_that_is_none_prevents_a_verdict(bounds: dict[str, Any], tmp_path: Path) -> None:
    around(5, 6).save(tmp_path, [objectives(**bounds), *FAULT])
    with pytest.raises(EvidenceError, match=r"events\.jsonl: line 1: "):
        measure(tmp_path)


def test_a_finding_says_what_was_measured(tmp_path: Path) -> None:
    around(5, 6).save(tmp_path, [objectives(rto="10s"), *FAULT])
    found = evaluate(tmp_path).findings
    assert found[0] == Finding("rto", "10s", "900 ms to 1.01 s (sql)", Verdict.PASS)
    around(5, 20).save(tmp_path, [objectives(rto="10s"), *FAULT])
    assert "more than 14.90 s" in evaluate(tmp_path).findings[0].measured


# -- objectives by kind, by mode, and counted by the drill ----------------------------------------------


def by_kind(bad: str, rate: int = 10, first_s: float = 0.01) -> Script:
    """Two kinds at `rate`/s for 10 s; `bad` fails from 5 s to 5.5 s, and is slow from 6 s to 7 s.

    What is due in the first second takes `first_s`.
    """
    script = Script()
    for f in ("chat", "sql"):
        for n in range(10 * rate):
            due = n / rate
            failing = f == bad and 5 <= due < 5.5
            slow = f == bad and 6 <= due < 7
            took = 0.3 if slow else first_s if due < 1 else 0.01
            script.op(f, due, "fail" if failing else "ok", took=took)
    return script


@pytest.mark.parametrize(
    ("bound", "wanted"),
    [
        ({"chat": 1.0}, Verdict.FAIL),
        ({"chat": 0.7}, Verdict.PASS),
        ({"sql": 1.0}, Verdict.PASS),
        ({"sql": 1.0, "chat": 1.0}, Verdict.FAIL),
        ({"chats": 1.0}, Verdict.UNKNOWN),
    ],
)
def test_availability_of_a_kind(tmp_path: Path, bound: Any, wanted: Verdict) -> None:
    fault = [begin(5), end(7)]
    found = one(by_kind("chat"), tmp_path, "availability", objectives(availability=bound), *fault)
    assert found.verdict is wanted, found


@pytest.mark.parametrize(
    ("bound", "wanted"),
    [
        ({"chat": "400ms"}, Verdict.PASS),
        ({"chat": "200ms"}, Verdict.FAIL),
        ({"chat": "+300ms"}, Verdict.PASS),
        ({"chat": "+280ms"}, Verdict.FAIL),
        ({"sql": "+3ms"}, Verdict.PASS),
        ({"chats": "1s"}, Verdict.UNKNOWN),
    ],
)
def test_p99_of_a_kind_absolute_or_over_its_baseline(tmp_path: Path, bound: Any, wanted: Verdict) -> None:
    found = one(by_kind("chat", rate=70), tmp_path, "p99", objectives(p99=bound), begin(5), end(7))
    assert found.verdict is wanted, found


def test_a_p99_over_few_answers_is_compared_with_a_bound_but_not_with_a_baseline(tmp_path: Path) -> None:
    for bound, wanted in (("400ms", Verdict.PASS), ("+400ms", Verdict.UNKNOWN)):
        asked = objectives(p99={"chat": bound})
        assert one(by_kind("chat"), tmp_path, "p99", asked, begin(5), end(7)).verdict is wanted


def test_what_the_first_seconds_of_a_load_cost_is_no_baseline(tmp_path: Path) -> None:
    script, asked = by_kind("chat", rate=70, first_s=0.9), objectives(p99={"chat": "+200ms"})
    well = {"time": 1_500_000_000, "source": "drill", "event": "baseline"}
    assert one(script, tmp_path, "p99", asked, well, begin(5), end(7)).verdict is Verdict.FAIL
    assert one(script, tmp_path, "p99", asked, begin(5), end(7)).verdict is Verdict.PASS


def test_each_quantile_is_judged_by_its_own_bound(tmp_path: Path) -> None:
    """Of 560 chats 70 take 300 ms: an eighth, of which the p90 is one."""
    for quantile, bound, wanted in (
        ("p90", "+300ms", Verdict.PASS),
        ("p90", "+200ms", Verdict.FAIL),
        ("p90", "5ms", Verdict.FAIL),
    ):
        asked = objectives(**{quantile: {"chat": bound}})
        script = by_kind("chat", rate=70)
        assert one(script, tmp_path, quantile, asked, begin(5), end(7)).verdict is wanted


def test_a_baseline_that_is_slow_by_itself_shows_no_margin(tmp_path: Path) -> None:
    script, asked = by_kind("chat", rate=70, first_s=1.1), objectives(p99={"chat": "+200ms"})
    found = one(script, tmp_path, "p99", asked, begin(5), end(7))
    assert found.verdict is Verdict.UNKNOWN
    assert "too slow by itself" in found.measured


@pytest.mark.parametrize(
    ("how", "due", "took", "wanted"),
    [
        ("info", 4.8, 0.5, Verdict.FAIL),
        ("fail", 4.8, 0.5, Verdict.FAIL),
        ("ok", 4.8, 0.5, Verdict.PASS),
        ("fail", 4.8, 0.1, Verdict.PASS),  # over before the fault
        ("info", 5.1, 0.5, Verdict.PASS),  # availability counts it
    ],
)
def test_what_was_under_way_when_the_fault_struck_is_counted_apart(
    tmp_path: Path, how: str, due: float, took: float, wanted: Verdict
) -> None:
    script = Script().steady("chat", 0, 10).op("chat", due, how, took=took)
    found = one(script, tmp_path, "interrupted", objectives(interrupted=0), begin(5), end(6))
    assert found.verdict is wanted, found
    assert one(script, tmp_path, "interrupted", objectives(interrupted=1), *FAULT).verdict is Verdict.PASS


def test_without_a_fault_nothing_can_be_interrupted(tmp_path: Path) -> None:
    found = one(around(5, 5), tmp_path, "interrupted", objectives(interrupted=0))
    assert found.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("named", "wanted"),
    [
        ([["no-cache"], []], Verdict.PASS),
        ([[], []], Verdict.FAIL),
        ([["no-cache"], ["no-retrieval"]], Verdict.PASS),
        ([["no-cache"], *[["no-retrieval"]] * 2], Verdict.FAIL),
        ([*[["no-cache"]] * 98, *[["stale"]] * 2], Verdict.PASS),
        ([*[["no-cache"]] * 97, *[["stale"]] * 3], Verdict.FAIL),
        ([*[["no-cache"]] * 2, *[[]] * 98], Verdict.FAIL),
        ([*[["no-cache"]] * 3, *[[]] * 97], Verdict.PASS),
        ([None, None], Verdict.UNKNOWN),
    ],
)
def test_answers_during_the_fault_name_the_expected_degradations_and_no_other(
    tmp_path: Path, named: list[Any], wanted: Verdict
) -> None:
    script = Script().steady("chat", 0, 5).op("chat", 8, degraded=["stale"])
    for n, degraded in enumerate(named):
        script.op("chat", 5.2 + n / 200, **({} if degraded is None else {"degraded": degraded}))
    found = one(script, tmp_path, "mode", objectives(mode=["no-cache"]), *FAULT)
    assert found.verdict is wanted, found


@pytest.mark.parametrize(("value", "wanted"), [(3, "pass"), (4, "fail"), (None, "unknown")])
def test_what_the_drill_counted(tmp_path: Path, value: int | None, wanted: str) -> None:
    counted = [] if value is None else [told("count", name="attempts", value=value)]
    found = one(around(5, 6), tmp_path, "attempts", objectives(attempts=3), *FAULT, *counted)
    assert found.verdict.value == wanted


def told(event: str, at_s: int = 9, **fields: Any) -> dict[str, Any]:
    """What the drill itself writes into the events."""
    return {"time": at_s * 1_000_000_000, "source": "drill", "event": event, **fields}


@pytest.mark.parametrize(("bound", "expected"), [(0.5, Verdict.PASS), (0.51, Verdict.FAIL)])
def test_declared_is_the_share_of_answers_that_name_a_degradation(
    bound: float, expected: Verdict, tmp_path: Path
) -> None:
    script = Script().steady("chat", 0, 5).op("chat", 5.2, degraded=["stale"]).op("chat", 5.4, degraded=[])
    script.op("chat", 5.6, degraded=["stale"]).op("chat", 5.8).op("sql", 5.9).steady("chat", 6, 20)
    found = one(script, tmp_path, "declared", objectives(declared={"chat": bound}), *FAULT)
    assert (found.verdict, found.measured) == (expected, "chat 50.0 % of the answers during the fault")


def test_declared_without_answers_is_unknown(tmp_path: Path) -> None:
    found = one(around(5, 6), tmp_path, "declared", objectives(declared={"chat": 0.5}), *FAULT)
    assert found.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("bound", "expected"), [(4, Verdict.PASS), (4.1, Verdict.FAIL)])
def test_goodput_counts_oks_a_second_of_the_fault(bound: float, expected: Verdict, tmp_path: Path) -> None:
    script = Script().steady("chat", 0, 5).steady("sql", 0, 20)
    for n in range(8):
        script.op("chat", 5 + n / 8 + 0.01, "ok" if n % 2 else "fail", took=0.001)
    script.steady("chat", 6, 20)
    found = one(script, tmp_path, "goodput", objectives(goodput={"chat": bound}), *FAULT)
    assert (found.verdict, found.measured) == (expected, "chat 4.0 a second during the fault")


def test_goodput_of_a_kind_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    found = one(around(5, 6), tmp_path, "goodput", objectives(goodput={"chat": 1}), *FAULT)
    assert found.verdict is Verdict.UNKNOWN
