"""What is told of every fault: a new one must tell it too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from blackstart.faults import CONSTRUCTORS, REGISTRY, about, fault_from_dict
from blackstart.faults._toxics import ToxicFault
from blackstart.faults.freeze import Freeze
from blackstart.model.errors import ConfigError
from blackstart.model.modes import Mode


@pytest.mark.parametrize("kind", sorted(REGISTRY))
def test_every_fault_tells_all_about_itself(kind: str) -> None:
    told = about(kind)
    assert told.mode is not Mode.OTHER, f"{kind}: state its failure mode, `mode: ClassVar[Mode]`"
    assert told.summary.endswith("."), "the first line of its file: `<Name>: <what happens>.`"
    assert told.details and told.undo
    assert told.prototype.kind == kind
    assert fault_from_dict(told.prototype.to_dict()) == told.prototype
    names = [p.name for p in told.parameters]
    assert names[0] == "target", "the target first, what all faults have last"
    assert set(names[-2:]) == {"max_duration", "allow_total_loss"}
    assert set(REGISTRY[kind].ends) <= set(names)
    assert all(f"`{p.name}`" in p.says for p in told.parameters)


def test_types_and_defaults_are_those_of_the_class() -> None:
    latency = {p.name: p for p in about("edge_latency").parameters}
    assert latency["target"].default is None
    assert (latency["latency"].type, latency["latency"].default) == ("Duration", "'800ms'")
    assert latency["latency"].says.startswith("Delay what passes the edges by `latency`")
    assert about("edge_latency").example == 'edge_latency("app", "llm-1", latency="2s")'
    assert about("edge_latency").expires_in_place
    assert about("edge_latency").undo == "Take the fault off every edge."


@pytest.mark.parametrize("kind", [kind for kind, cls in REGISTRY.items() if issubclass(cls, ToxicFault)])
def test_a_direction_says_which_way_each_is_and_that_both_meet_a_round_trip_twice(kind: str) -> None:
    (says,) = (p.says for p in about(kind).parameters if p.name == "direction")
    assert all(word in says for word in ("`upstream` is what it asks", "`downstream`", "twice"))


def test_a_frozen_or_killed_container_does_not_end_in_place() -> None:
    assert not about("freeze").expires_in_place
    assert not about("kill").expires_in_place


def test_a_mistyped_kind_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(
        ConfigError, match=r"'edge_latncy' \(did you mean 'edge_latency'\?\); known: .*edge_down"
    ):
        about("edge_latncy")


@dataclass(frozen=True)
class Stun(Freeze):
    """Stun `target` by `volts`."""

    kind: ClassVar[str] = "stun"

    volts: int = 3


def stun(target: str, volts: int = 3) -> Stun:
    """Stun it: `stun("app-1", volts=5)`."""
    return Stun(target, volts)


@pytest.fixture
def stunning(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A fault of a user's own, as complete as ours."""
    monkeypatch.setitem(REGISTRY, "stun", Stun)
    monkeypatch.setitem(CONSTRUCTORS, "stun", stun)
    monkeypatch.setattr("tests.faults.test_about.__doc__", "Stun: nothing moves.")
    return monkeypatch


def test_a_fault_of_a_users_own_tells_the_same(stunning: pytest.MonkeyPatch) -> None:
    told = about("stun")
    assert (told.summary, told.prototype) == ("nothing moves.", Stun("app-1", 5))
    assert [p.says for p in told.parameters[:2]] == ["Stun `target` by `volts`."] * 2


@pytest.mark.parametrize(
    ("place", "text", "lacking"),
    [
        ("stun.__doc__", "Stun it.", "no example"),
        ("stun.__doc__", "Stun it: `stun(whom())`.", "no call with literals"),
        ("Stun.__doc__", "Stun `target`.", "a sentence about its parameter `volts`"),
        ("Freeze.undo.__func__.__doc__", "See Fault.undo.", "a docstring of its own on undo"),
        ("__doc__", "Nothing moves.", "a line `<Name>: <what happens>`"),
    ],
)
def test_what_a_fault_lacks_is_named(
    stunning: pytest.MonkeyPatch, place: str, text: str, lacking: str
) -> None:
    stunning.setattr(f"tests.faults.test_about.{place}", text)
    with pytest.raises(ConfigError, match=lacking):
        about("stun")
