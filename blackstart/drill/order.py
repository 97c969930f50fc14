"""Which stack a collected test runs on, and an order of tests in which each stack starts once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from blackstart.drill.declare import ATTRIBUTE
from blackstart.model.experiment import Experiment

#: The fixture that brings a test's stack up.
FIXTURE = "blackstart_session"


def stack_of(item: pytest.Item) -> str | None:
    """The name of the stack that a test runs on, "" for the project's first; None of a test on none."""
    if FIXTURE not in getattr(item, "fixturenames", ()):
        return None
    spec: Experiment | None = getattr(getattr(item, "obj", None), ATTRIBUTE, None)
    return spec.stack if spec is not None else ""


def by_stack(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The tests with those of one stack behind each other, the project's first stack before the others.

    Among those of one stack the order stays, and tests on none keep their places.
    """
    placed = [(item, stack_of(item)) for item in items]
    named = [(name, item) for item, name in placed if name is not None]
    turn = iter([item for _, item in sorted(named, key=lambda pair: pair[0])])
    return [item if name is None else next(turn) for item, name in placed]
