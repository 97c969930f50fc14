"""Steady state: everything holds in one look, or the failure says what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from blackstart.model.errors import SteadyStateError
from blackstart.platforms.capabilities import Container
from blackstart.platforms.docker import DockerPlatform
from blackstart.stack.conditions import Named
from blackstart.stack.running import RunningStack
from blackstart.stack.steady import steady
from tests import smallstack


@dataclass
class _Platform:
    status: dict[str, str] = field(default_factory=dict)

    def list(self, run_id: str) -> list[Container]:
        names = [f"bs-r1-{i}{part}" for i in ("store-1", "web-1", "web-2") for part in ("", "-net")]
        return [
            Container(n, run_id, "small", "", "", "", "", self.status.get(n, "running"), "", {})
            for n in names
        ]

    def logs(self, name: str, tail: int) -> str:
        return f"last words of {name}"


def _running(*conditions: Callable[[], str | None], platform: _Platform | None = None) -> RunningStack:
    bare = smallstack.stack.with_instances(*(replace(i, ready=None) for i in smallstack.stack.instances))
    named = tuple(Named(f"condition {n}", lambda _, c=c: c()) for n, c in enumerate(conditions, 1))  # type: ignore[misc]
    return RunningStack(replace(bare, steady=named), "r1", cast(DockerPlatform, platform or _Platform()), {})


def test_returns_once_all_hold() -> None:
    answers = iter(["not yet", None, None, None])
    assert steady(_running(lambda: next(answers), lambda: None), "10s") < 10


def test_what_held_before_must_hold_in_the_last_look_too() -> None:
    first = iter([None, "relapsed", None])
    second = iter(["starting", None, None, None])
    steady(_running(lambda: next(first), lambda: next(second)), "10s")
    assert next(first, "used up") == "used up"


def test_the_failure_names_what_does_not_hold_and_what_waits_for_it() -> None:
    def broken() -> str | None:
        raise OSError("refused")

    with pytest.raises(
        SteadyStateError, match=r"(?s)1 of 3 .*condition 2: OSError: refused\n.*not looked at .*: condition 3"
    ):
        steady(_running(lambda: None, broken, lambda: "dear"), 0.3)


def test_an_ill_stack_is_seldom_asked_whether_it_is_well() -> None:
    asked: list[str] = []

    def ill() -> str | None:
        asked.append("first")
        return "ill" if len(asked) < 4 else None

    def dear() -> str | None:
        asked.append("dear")
        return None

    waited = steady(_running(ill, dear), "10s")
    assert asked[:5] == ["first", "first", "first", "first", "dear"]
    assert waited > 3 * 0.5


def test_a_dead_container_ends_the_wait_at_once_with_its_last_words() -> None:
    platform = _Platform({"bs-r1-web-1": "exited"})
    with pytest.raises(
        SteadyStateError, match=r"(?s)given up.*web-1 \(exited/running\).*last words of bs-r1-web-1"
    ):
        steady(_running(lambda: "no", platform=platform), "60s")


def test_a_dead_container_is_noticed_even_if_all_conditions_hold() -> None:
    with pytest.raises(SteadyStateError, match="web-2"):
        steady(_running(lambda: None, platform=_Platform({"bs-r1-web-2-net": "exited"})), "60s")


def test_a_dead_container_is_revived_once() -> None:
    platform = _Platform({"bs-r1-web-1": "exited"})
    revived: list[str] = []

    def revive(name: str) -> None:
        revived.append(name)
        platform.status.clear()

    steady(_running(lambda: None, platform=platform), "10s", revive=revive)
    assert revived == ["web-1"]


def test_a_container_that_dies_again_is_given_up() -> None:
    platform = _Platform({"bs-r1-web-1": "exited"})
    with pytest.raises(SteadyStateError, match="given up"):
        steady(_running(lambda: None, platform=platform), "60s", revive=lambda name: None)
