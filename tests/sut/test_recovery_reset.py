"""What the stack `recovery` is brought back to between drills, with instances that answer as they would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from blackstart.platforms.capabilities import ExecResult
from blackstart.stack.running import RunningStack
from sut.recovery import reset, rotate
from sut.recovery.settings import OPERATOR, REPOSITORY
from sut.recovery.stack import stack


@dataclass
class Running:
    """A stack whose primary is pg-1; `failures` are the damaged pages that a node has met."""

    failures: dict[str, int] = field(default_factory=dict)
    roles: int = 0
    damaged: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def exec(self, instance: str, command: Sequence[str], timeout: float = 10.0) -> ExecResult:
        """As RunningStack."""
        self.asked.append((instance, command[-1]))
        if command[0] == "test":
            return ExecResult(0 if self.damaged else 1, "")
        if "checksum_failures" in command[-1]:
            return ExecResult(0, f"{self.failures.get(instance, 0)}\n")
        if "pg_roles" in command[-1]:
            return ExecResult(0, f"{self.roles}\n")
        return ExecResult(0, "1\n")

    def resolve(self, _: str) -> tuple[Any, ...]:
        """As RunningStack."""
        return (stack.instance("pg-1"),)


REINITIALISED = ("/reinitialize", {"force": True})
HANDED_OVER = ("/switchover", {"leader": "pg-1", "candidate": "pg-2"})


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ({}, []),
        ({"pg-2": 3}, [("pg-2", *REINITIALISED)]),
        ({"pg-1": 1}, [("pg-1", *HANDED_OVER), ("pg-1", *REINITIALISED)]),
        (
            {"pg-1": 1, "pg-2": 1},
            [("pg-2", *REINITIALISED), ("pg-1", *HANDED_OVER), ("pg-1", *REINITIALISED)],
        ),
    ],
)
def test_whichever_node_has_damaged_pages_copies_the_other(
    failures: dict[str, int], told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(reset, "_tell", lambda _, name, path, words: found.append((name, path, words)))
    reset._copy_what_is_damaged(cast(RunningStack, Running(failures)))
    assert found == told


@pytest.mark.parametrize("roles", [0, 1])
def test_secrets_that_a_drill_left_rotated_are_put_back(roles: int, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(roles=roles)
    back: list[object] = []
    monkeypatch.setattr(rotate, "back", back.append)
    reset._put_secrets_back(cast(RunningStack, running))
    assert len(back) == roles
    assert (("pg-1", f"DROP ROLE {OPERATOR}") in running.asked) is bool(roles)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_repository_that_was_found_damaged_is_looked_at_again(damaged: bool) -> None:
    running = Running(damaged=damaged)
    reset._look_at_the_repository_again(cast(RunningStack, running))
    assert ((REPOSITORY, "verify-repository") in running.asked) is damaged
