"""promoted(): met by another primary, and by nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import blackstart
from blackstart.model.errors import ConfigError
from blackstart.observe import promoted

BEFORE = {"postgres": {"pg-1": "primary", "pg-2": "replica"}, "redis": {"redis-1": "primary"}}


def stack(roles: dict[str, str]) -> Any:
    return SimpleNamespace(role_map=lambda service: roles if service == "postgres" else {})


@pytest.mark.parametrize(
    ("now", "seen"),
    [
        ({"pg-1": "replica", "pg-2": "primary"}, None),
        ({"pg-2": "primary"}, None),
        # The old one has not noticed: another is primary all the same.
        ({"pg-1": "primary", "pg-2": "primary"}, None),
        ({"pg-1": "primary", "pg-2": "replica"}, "pg-1 is primary, pg-2 is replica"),
        ({"pg-2": "replica"}, "pg-2 is replica"),
        ({}, "no instance tells its role"),
    ],
)
def test_met_by_another_primary_only(now: dict[str, str], seen: str | None) -> None:
    until = promoted("postgres")
    until.begin(BEFORE)
    assert until.check(stack(now)) == seen


def test_it_says_what_it_waits_for() -> None:
    assert promoted("postgres").describe() == "another postgres is primary"


def test_an_unknown_service_is_named_with_the_known() -> None:
    with pytest.raises(ConfigError, match=r"'postgre'.*postgres, redis"):
        promoted("postgre").begin(BEFORE)


def test_it_cannot_be_checked_before_it_began() -> None:
    with pytest.raises(ConfigError, match="begin"):
        promoted("postgres").check(stack({}))


def test_it_is_exported() -> None:
    assert blackstart.promoted is promoted
