"""What the drills of the models count, on calls as a provider logs them."""

from __future__ import annotations

import inspect
from typing import Any, cast

import pytest

from blackstart import Drill, llm_cut, llm_empty
from blackstart.faults._llm import LlmFault
from fixtures import llm
from sut.app.service.config import Settings
from sut.app.service.retries import RetryBudget


def calls(*told: tuple[float, str]) -> list[dict[str, Any]]:
    return [{"begin": begin, "asked": asked} for begin, asked in told]


def played(budget: RetryBudget, now: list[float], turns: int, every: float) -> list[dict[str, Any]]:
    """Turns whose first call of a provider fails, so that each would make a second one."""
    made: list[tuple[float, str]] = []
    for number in range(turns):
        now[0] = number * every
        budget.called()
        made.append((now[0], f"turn {number}"))
        if budget.retry():
            made.append((now[0] + 0.01, f"turn {number}"))
    return calls(*made)


def test_what_a_budget_grants_is_never_beyond_it() -> None:
    for every in (0.05, 0.6, 3.0):
        now = [0.0]
        found = played(RetryBudget(0.2, clock=lambda now=now: now[0]), now, 60, every)  # type: ignore[misc]
        assert len(found) > 60
        assert llm.excess(found) == 0


def test_without_a_budget_the_third_second_call_in_a_row_is_beyond_it() -> None:
    now = [0.0]
    found = played(RetryBudget(None, clock=lambda: now[0]), now, 8, 0.6)
    assert len(found) == 16
    assert llm.excess(found) >= 4


def test_a_cheap_model_that_is_asked_first_is_no_second_call() -> None:
    assert llm.in_turns(calls((1.0, "a"), (1.2, "a"), (2.0, "b"))) == ([1.0, 2.0], [1.2])


def test_two_scripts_of_one_fault_are_both_to_be_met() -> None:
    struck = {"status-500": [4], "status-401": [0], "withdrawn": [2]}
    assert llm.met_each(struck, ["status-500"])
    assert not llm.met_each(struck, ["status-500", "status-401"])
    assert not llm.met_each(struck, ["never-put"])


class Watched:
    """In place of a drill, and of an injection: what is asked of it, in order."""

    stack = None

    def __init__(self) -> None:
        self.done: list[str] = []

    def inject(self, fault: LlmFault) -> Watched:
        self.done.append(f"inject {fault.wire}")
        injection = Watched()
        injection.undo = lambda: self.done.append(f"undo {fault.wire}")  # type: ignore[method-assign]
        return injection

    def undo(self) -> None:
        raise NotImplementedError

    def hold(self, duration: str) -> None:
        self.done.append(f"hold {duration}")

    def premise(self, what: str, met: bool) -> None:
        self.done.append(what)


def test_faults_that_take_turns_leave_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "_requests", lambda *_: {"by_rule": {}})
    drill = Watched()
    faults = (llm_empty("llm-1"), llm_cut("llm-1"))
    llm.meet_each(cast(Drill, drill), who="chats", provider="llm-1", faults=faults, hold="3s")
    assert drill.done == [
        "inject empty",
        "hold 3s",
        "inject cut",
        "undo empty",
        "hold 3s",
        "undo cut",
        "chats met every fault",
    ]


def test_the_drill_knows_the_services_budget() -> None:
    given = inspect.signature(RetryBudget).parameters
    assert Settings().retry_ratio == llm.RATIO
    assert (given["reserve"].default, given["window_s"].default) == (llm.RESERVE, llm.WINDOW_S)
