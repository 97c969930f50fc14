"""A schedule compiles to a flat list of timed actions, the same one everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackstart.faults import edge_latency, kill
from blackstart.model.errors import ConfigError, ScheduleError
from blackstart.schedule import (
    Action,
    Schedule,
    inject,
    parallel,
    ramp,
    repeat,
    sequence,
    swizzle,
    undo,
    wait,
)
from tests.faults.fakes import stack
from tests.schedule.plans import ALL, DEAD, FROZEN, SLOW


def told(*actions: Action, seed: int = 0) -> list[tuple[Any, ...]]:
    """What a schedule of these compiles to, without the faults."""
    return _short(Schedule(actions, seed))


def _short(schedule: Schedule) -> list[tuple[Any, ...]]:
    return [(s["at_s"], s["action"], *([s["name"]] if "name" in s else [])) for s in schedule.compile()]


def test_a_step_is_plain_data_with_its_time() -> None:
    assert Schedule((wait("1500ms"), inject(DEAD, "a"), wait(2))).compile() == [
        {"at_s": 1.5, "action": "inject", "name": "a", "fault": DEAD.to_dict()},
        {"at_s": 3.5, "action": "end"},
    ]


def test_parallel_branches_begin_together_and_the_longest_decides_when_it_goes_on() -> None:
    assert told(
        wait("1s"),
        parallel(
            sequence(inject(DEAD, "a"), wait("4s"), undo("a")),
            sequence(wait("2s"), inject(FROZEN, "b"), wait("1s"), undo("b")),
        ),
        inject(SLOW, "c"),
    ) == [
        (1.0, "inject", "a"),
        (3.0, "inject", "b"),
        (4.0, "undo", "b"),
        (5.0, "undo", "a"),
        (5.0, "inject", "c"),
        (5.0, "end"),
    ]


def test_what_is_repeated_is_drawn_anew() -> None:
    steps = told(repeat(2, inject(DEAD, "a"), wait("1s", jitter="900ms"), undo("a")), seed=1)
    assert steps == [
        (0.0, "inject", "a"),
        (0.341, "undo", "a"),
        (0.341, "inject", "a"),
        (1.967, "undo", "a"),
        (1.967, "end"),
    ]


@pytest.mark.parametrize(
    ("start", "stop", "values"),
    [
        ("100ms", "1s", ["100ms", "400ms", "700ms", "1s"]),
        ("1s", 0.25, ["1s", "750ms", "500ms", 0.25]),
        (0.5, 2, [0.5, 1.0, 1.5, 2]),
        (1, 3, [1, 2, 2, 3]),
    ],
)
def test_a_ramp_goes_through_its_values_and_leaves_the_last_in_force(
    start: str, stop: str, values: list[Any]
) -> None:
    steps = Schedule((ramp(SLOW, "a", "latency", start, stop, 4, "2s"), wait("1s"), undo("a"))).compile()
    injected = [(s["at_s"], s["fault"]["latency"]) for s in steps if s["action"] == "inject"]
    assert injected == list(zip([0.0, 0.5, 1.0, 1.5], values, strict=True))
    assert [s["at_s"] for s in steps if s["action"] == "undo"] == [0.5, 1.0, 1.5, 3.0]


def test_a_swizzle_injects_all_in_one_order_and_undoes_all_in_another() -> None:
    faults = {"a": DEAD, "b": FROZEN, "c": SLOW}
    assert told(swizzle(faults, gap="1s", jitter="250ms"), seed=7) == [
        (0.0, "inject", "b"),
        (1.018, "inject", "c"),
        (1.951, "inject", "a"),
        (2.73, "undo", "c"),
        (3.734, "undo", "a"),
        (4.502, "undo", "b"),
        (4.502, "end"),
    ]
    backwards = dict(reversed(faults.items()))
    assert told(swizzle(backwards, "1s", "250ms"), seed=7) == told(swizzle(faults, "1s", "250ms"), seed=7)


@settings(deadline=None)  # a busy machine is no defect
@given(st.integers(0, 2**64))
def test_every_swizzle_undoes_what_it_injected(seed: int) -> None:
    steps = told(swizzle({"a": DEAD, "b": FROZEN, "c": SLOW}, "1s", "1s"), seed=seed)
    assert [s[1] for s in steps] == ["inject"] * 3 + ["undo"] * 3 + ["end"]
    assert {s[2] for s in steps[:3]} == {s[2] for s in steps[3:6]} == {"a", "b", "c"}
    times = [s[0] for s in steps]
    assert times == sorted(times)
    assert times[-1] <= 10


def test_all_orders_of_a_swizzle_come_up() -> None:
    faults = {"a": DEAD, "b": FROZEN, "c": SLOW}
    seen = {tuple(s[2] for s in told(swizzle(faults, 1), seed=seed)[:6]) for seed in range(500)}
    assert len(seen) == 36


def test_the_seed_decides_and_another_interpreter_agrees() -> None:
    assert replace(ALL, seed=8).compile() != ALL.compile()
    code = "from tests.schedule.plans import ALL; import json; print(json.dumps(ALL.compile()))"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert json.loads(runs.pop()) == ALL.compile()
    assert _short(ALL) == [
        (0.0, "inject", "dead"),
        (1.0, "undo", "dead"),
        (1.0, "inject", "dead"),
        (1.5, "inject", "slow"),
        (2.5, "undo", "slow"),
        (2.5, "inject", "slow"),
        (3.0, "undo", "dead"),
        (3.5, "undo", "slow"),
        (3.5, "inject", "slow"),
        (4.5, "undo", "slow"),
        (4.5, "inject", "slow"),
        (5.5, "undo", "slow"),
        (5.5, "inject", "frozen"),
        (6.324, "undo", "frozen"),
        (6.324, "inject", "frozen"),
        (6.975, "undo", "frozen"),
        (6.975, "inject", "c"),
        (7.754, "inject", "a"),
        (8.758, "inject", "b"),
        (9.526, "undo", "c"),
        (10.493, "undo", "a"),
        (11.277, "undo", "b"),
        (14.277, "end"),
    ]


@pytest.mark.parametrize(
    ("actions", "named"),
    [
        ([undo("b")], r"actions\[0\]: undone at 0 s, but no 'b' is in force then; in force: nothing"),
        (
            [inject(DEAD, "a"), parallel(wait(1), sequence(undo("a"), undo("a")))],
            r"actions\[1\]\.branches\[1\]\.actions\[1\]: .*no 'a'",
        ),
        (
            [parallel(sequence(wait(2), inject(DEAD, "a")), sequence(wait(1), undo("a")))],
            r"branches\[1\]\.actions\[1\]: undone at 1 s, but no 'a' is in force",
        ),
        ([inject(DEAD, "a"), inject(FROZEN, "a")], "in force since 0 s; .* another name than: a"),
        ([repeat(2, inject(DEAD, "a"), wait(1))], "injected at 1 s, but 'a' is in force since 0 s"),
        ([inject(DEAD, "a"), swizzle({"a": FROZEN}, 1)], r"actions\[1\]: .*'a' is in force"),
        ([inject(DEAD, "a"), wait("3m"), undo("a")], "'a' is to be in force for 3 min 0 s, .* '120s'"),
        ([inject(DEAD, "a"), wait("3m")], "max_duration is '120s'"),
        ([repeat(10_000, repeat(10_000, wait(1)))], "more than 100000 actions"),
        ([DEAD], r"actions\[0\]: not an action"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_place(actions: list[Action], named: str) -> None:
    with pytest.raises(ScheduleError, match=named):
        Schedule(tuple(actions))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: wait(-1), "duration: .*not negative"),
        (lambda: wait("soon"), "duration: not a duration: 'soon'"),
        (lambda: wait("1s", jitter="2s"), "jitter: '2s' is more than the duration '1s'"),
        (lambda: repeat(0, wait(1)), "times: not a count: 0 .*at least 1"),
        (lambda: inject("kill", "a"), "fault: not a fault"),  # type: ignore[arg-type]
        (lambda: inject(DEAD, ""), "name: not a name"),
        (lambda: swizzle({}, 1), "faults: .*at least one"),
        (lambda: parallel(DEAD), r"branches\[0\]: not an action"),  # type: ignore[arg-type]
        (lambda: ramp(DEAD, "a", "latency", 1, 2, 2, 1), "parameter: .*it has: .*target, process"),
        (lambda: ramp(DEAD, "a", "process", 1, 2, 2, 1), "'process' is None: only numbers and durations"),
        (lambda: ramp(DEAD, "a", "target", 1, 2, 2, 1), "'target' is 'app-1': only numbers"),
        (lambda: ramp(SLOW, "a", "latency", "soon", 2, 2, 1), "start: not a duration"),
        (lambda: ramp(SLOW, "a", "latency", float("nan"), 2, 2, 1), "start: .*finite"),
        (lambda: ramp(SLOW, "a", "latency", 1, 0, 2, 1), "counts whole milliseconds"),
        (lambda: ramp(SLOW, "a", "latency", 1, 2, 1, 1), "steps: not a count: 1 .*at least 2"),
        (lambda: Schedule((), seed=-1), "seed: not a count: -1"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_valid(make: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make()


def test_what_the_stack_lacks_is_named_before_anything_is_touched() -> None:
    bad = Schedule((sequence(inject(DEAD, "a"), inject(kill("nobody"), "b")),))
    with pytest.raises(
        ConfigError, match=r"actions\[0\]\.actions\[1\]\.fault: unknown target 'nobody'; serv"
    ):
        bad.validate(stack(), 60)
    bad = Schedule((inject(edge_latency("app-1", "app-1"), "b"),))
    with pytest.raises(ConfigError, match="edges from there: app-1 -> pg-1"):
        bad.validate(stack(), 60)
    bad = Schedule((inject(kill(1), "b"),))  # type: ignore[arg-type]  # as a file might have it
    with pytest.raises(ConfigError, match=r"actions\[0\]\.fault: .*'target': 1"):
        bad.validate(stack(), 60)
    ALL.validate(stack(), ALL.duration_s)
    with pytest.raises(ConfigError, match=r"and the load only 10\.00 s from now on"):
        ALL.validate(stack(), 10)
