"""What the events tell of a runbook's steps: as they must be or not, and where the time went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blackstart.measure.followed import RunbookStep, steps_of
from blackstart.measure.judge import Finding
from blackstart.measure.run import evaluate
from blackstart.measure.split import Split, split
from blackstart.model.verdict import Verdict
from tests.measure.histories import begin, end, gate, ns, objectives
from tests.measure.test_recovery import around

TRIAL = {"time": 0, "source": "drill", "event": "trial", "role": "drill", "expects_alert": None}
Line = dict[str, Any]


def step(name: str, at: float, to: float | None, status: int | None = 0, **told: Any) -> list[Line]:
    """A step from `at` to `to` s; `fails` goes with its begin, all else with its end."""
    head = {"source": "runbook", "runbook": "lost", "step": name, "phase": told.pop("phase", None)}
    fails = {"fails": told.pop("fails")} if "fails" in told else {}
    lines = [{"time": ns(at), "event": "begin", **head, **fails}]
    if to is not None:
        lines.append({"time": ns(to), "event": "end", **head, "exit": status, "output": "said\nlast", **told})
    return lines


def found(folder: Path, *lines: Line) -> dict[str, Finding]:
    """Findings by objective of a drill with a fault from 5 to 6 s and these events."""
    events = sorted([objectives(rto="1m"), TRIAL, begin(5), end(6), *lines], key=lambda e: e["time"])
    around(5, 6).save(folder, events)
    return {f.objective: f for f in evaluate(folder).findings}


def test_steps_are_read_in_order_with_what_came_of_them() -> None:
    lines = [*step("find", 1, 2, phase="detect"), *step("find", 3, 4, 7), *step("open", 5, None)]
    assert steps_of([{"time": 0, "source": "drill", "event": "begin"}, *lines]) == [
        RunbookStep("lost", "find", "detect", "", ns(1), ns(2), 0, "said\nlast"),
        RunbookStep("lost", "find", "", "", ns(3), ns(4), 7, "said\nlast"),
        RunbookStep("lost", "open", "", "", ns(5)),
    ]
    assert [s.seconds for s in steps_of(lines)] == [1, 1, 0]


@pytest.mark.parametrize(
    ("lines", "verdict", "text"),
    [
        (step("copy", 5.1, 5.5), "pass", "every step ended as it must (1)"),
        (step("copy", 5.1, 5.5, 3), "fail", "lost: copy failed (exit 3): last"),
        (step("copy", 5.1, 5.5, 3, fails="last"), "pass", "every step"),
        (step("copy", 5.1, 5.5, 3, fails="key"), "fail", "without saying 'key': last"),
        (
            step("copy", 5.1, 5.5, 0, fails="last"),
            "fail",
            "lost: copy went well, and had to fail with 'last'",
        ),
        (step("copy", 5.1, 5.5, 0, cut="exit"), "fail", "ended the shell"),
        (step("copy", 5.1, None), "unknown", "lost: copy was stopped"),
        (step("copy", 5.1, 5.5, None, cut="stop"), "unknown", "lost: copy was stopped"),
        (
            step("copy", 5.1, 5.5, 3) + step("open", 5.6, None),
            "fail",
            "lost: copy failed (exit 3): last; lost: open",
        ),
    ],
)
def test_each_step_is_judged_from_its_events(
    tmp_path: Path, lines: list[Line], verdict: str, text: str
) -> None:
    finding = found(tmp_path, *lines)["runbook"]
    assert finding.verdict.value == verdict
    assert text in finding.measured


def test_what_a_step_did_stands_whatever_the_gates_say_but_not_that_it_was_late(tmp_path: Path) -> None:
    late = step("copy", 5.1, 5.5, None, cut="limit", limit_s=90.0)
    told = found(tmp_path, *late)
    assert told["runbook in time"].measured == "lost: copy was not done within 1 min 30 s"
    assert told["runbook in time"].verdict is Verdict.FAIL
    assert "runbook" not in told, "nothing else is wrong with it"
    assert found(tmp_path, gate(1), *late)["runbook in time"].verdict is Verdict.UNKNOWN
    assert found(tmp_path, gate(1), *step("copy", 5.1, 5.5, 3))["runbook"].verdict is Verdict.FAIL


def test_without_a_runbook_there_is_nothing_to_judge(tmp_path: Path) -> None:
    assert "runbook" not in found(tmp_path)


# -- where the time went --------------------------------------------------------------------------------


def legs(of: Split | None) -> list[tuple[str, float, float]]:
    assert of is not None
    return [(leg.phase, round(leg.begin, 3), round(leg.end, 3)) for leg in of.legs]


RESTORE = steps_of(
    [
        *step("find", 12, 13, phase="detect"),
        *step("room", 13.001, 15, phase="provision"),
        *step("copy", 15, 25, phase="copy"),
        *step("look", 27, 28),
        *step("more", 28, 30, phase="copy"),
        *step("verify", 30, 34, phase="verify"),
    ]
)


def test_the_legs_follow_each_other_from_the_fault_to_the_clients() -> None:
    assert legs(split(RESTORE, 10, 100, hi=26)) == [
        ("detect", 0, 2),
        ("detect", 2, 3),
        ("provision", 3, 5),
        ("copy", 5, 15),
        ("other", 15, 17),
        ("other", 17, 18),
        ("copy", 18, 20),
        ("verify", 20, 24),
        ("clients", 24, 26),
    ]


def test_seconds_by_phase_sum_up_to_the_rto() -> None:
    told = split(RESTORE, 10, 100, hi=26)
    assert told is not None
    assert told.seconds() == pytest.approx(
        {"detect": 3, "provision": 2, "copy": 12, "verify": 4, "other": 3, "clients": 2}, abs=0.002
    )
    assert list(told.seconds()) == ["detect", "provision", "copy", "verify", "other", "clients"]
    assert sum(told.within_rto().values()) == pytest.approx(26)


def test_what_is_done_after_clients_were_served_is_not_in_the_rto() -> None:
    told = split(RESTORE, 10, 100, hi=21)
    assert told is not None
    assert told.within_rto()["verify"] == pytest.approx(1)
    assert told.seconds()["verify"] == pytest.approx(4)
    assert sum(told.within_rto().values()) == pytest.approx(21)
    assert "clients" not in told.seconds()


def test_who_waits_for_the_clients_between_two_steps_is_part_of_their_time() -> None:
    assert legs(split(RESTORE, 10, 100, hi=16.5))[3:] == [
        ("copy", 5, 15),
        ("clients", 15, 16.5),
        ("other", 17, 18),
        ("copy", 18, 20),
        ("verify", 20, 24),
    ]


def test_clients_that_felt_nothing_leave_the_steps_alone() -> None:
    told = split(RESTORE, 10, 100, hi=0)
    assert told is not None
    assert (told.within_rto(), told.end) == ({}, 24)


def test_only_steps_of_the_episode_count_and_without_any_there_is_no_split() -> None:
    assert split(RESTORE, 40, 100, hi=5) is None
    assert split([], 10, 100, hi=5) is None
    assert legs(split(RESTORE, 14, 26, hi=2)) == [("detect", 0, 1), ("copy", 1, 11)]


def test_a_step_without_an_end_lasts_until_clients_were_served() -> None:
    assert legs(split(steps_of(step("copy", 11, None, phase="copy")), 10, 100, hi=9)) == [
        ("detect", 0, 1),
        ("copy", 1, 9),
    ]


def test_a_run_tells_its_splits_with_the_rto_of_each_episode(tmp_path: Path) -> None:
    events = [begin(5), *step("copy", 5.2, 5.6, phase="copy"), end(6), begin(12), end(13)]
    around(5, 6).save(tmp_path, [objectives(rto="1m"), TRIAL, *events])
    [told] = evaluate(tmp_path).splits()
    assert told.to_dict() == {
        "begin_s": 5,
        "rto_hi_s": 1.01,
        "censored": False,
        "phases_s": {"detect": 0.2, "copy": 0.4, "clients": 0.41},
        "within_rto_s": {"detect": 0.2, "copy": 0.4, "clients": 0.41},
    }
