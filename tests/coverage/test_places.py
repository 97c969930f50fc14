"""Where a stack can fail, and who depends on it."""

from __future__ import annotations

import pytest

from blackstart.coverage.places import places, struck
from blackstart.model.errors import ConfigError
from tests.coverage.declared import STACK

FOUND = {place.name: place for place in places(STACK)}


def test_there_is_a_place_for_each_service_or_role_and_each_pair_that_talks() -> None:
    assert list(FOUND) == [
        *("db", "cache.primary", "cache.replica", "model", "app", "front", "aside"),
        *("cache → cache", "app → db", "app → cache", "app → model", "front → app"),
    ]
    assert FOUND["app → db"].is_edge and not FOUND["app"].is_edge


def test_dependents_call_it_directly_or_through_others() -> None:
    assert FOUND["db"].dependents == ("app-1", "app-2", "front-1")
    assert FOUND["cache.primary"].dependents == ("app-1", "app-2", "front-1")
    assert FOUND["front"].dependents == ()
    assert FOUND["app → db"].dependents == ("app-1", "app-2", "front-1")
    assert FOUND["front → app"].dependents == ("front-1",)


def test_clients_are_behind_what_an_entry_leads_to() -> None:
    assert all(place.clients for name, place in FOUND.items())
    inner = STACK.with_instances(
        type(STACK.instance("aside-1"))("aside-1", "aside", STACK.sidecar, {"http": 80})
    )
    assert [p.name for p in places(inner) if not p.clients] == ["aside"]


def test_the_work_is_shared_by_the_instances_of_the_service_or_the_caller() -> None:
    assert {n: FOUND[n].instances for n in ("db", "app", "cache.replica", "app → db", "front → app")} == {
        "db": 1,
        "app": 2,
        "cache.replica": 2,
        "app → db": 2,
        "front → app": 1,
    }


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (("app-1",), (("app",),)),
        (("app",), (("app",),)),
        (("cache.primary",), (("cache.primary",),)),
        (("cache",), (("cache.primary",), ("cache.replica",))),
        (("cache-1",), ()),
        (("app-2", "cache.primary"), (("app", "cache"),)),
    ],
)
def test_a_fault_strikes_the_places_that_its_selectors_mean(
    ends: tuple[str, ...], expected: tuple[tuple[str, ...], ...]
) -> None:
    assert struck(STACK, ends) == expected


def test_a_target_that_the_stack_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown service 'cash'"):
        struck(STACK, ("cash",))
