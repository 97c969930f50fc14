"""Where the time of a session went."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blackstart.drill.times import spent, time_line

TRIALS: Any = [
    SimpleNamespace(timings={"prepare": 1.0, "baseline": 2.0, "fault": 40.0, "undo": 0.5, "report": 1.5}),
    SimpleNamespace(
        timings={"baseline": 3.0, "fault": 20.0, "recovery": 4.0, "settle": 5.5, "reset": 6.0, "void": 8.0}
    ),
]


def test_every_second_is_spent_once() -> None:
    found = spent(TRIALS, 30.0, 150.0)
    assert found == pytest.approx(
        {
            "stack": 30.0,
            "baseline": 5.0,
            "fault": 60.0,
            "recovery": 10.0,
            "reset": 7.0,
            "void trials": 8.0,
            "overhead": 30.0,
        }
    )
    assert sum(found.values()) == 150.0


def test_the_line_names_what_took_any_time() -> None:
    assert time_line(TRIALS[:1], 0.0, 100.0) == (
        "time: 1 min 40 s; baseline 2 s (2%), fault 40 s (40%), reset 1 s (1%), overhead 56 s (56%)"
    )
