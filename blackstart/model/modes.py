"""Failure modes: what a fault looks like to those who depend on the thing that fails."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """A family of faults, in the order in which a map shows them; `meaning` says it in words."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Mode:
        """A member that carries its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    GONE = "gone", "the process or its container is dead"
    FROZEN = "frozen", "it accepts and never answers"
    SLOW = "slow", "it answers late"
    CUT = "cut", "it cannot be reached, or cannot reach others"
    LOSSY = "lossy", "part of what is said is lost, broken off or doubled"
    ERRORS = "errors", "it answers with errors"
    WRONG = "wrong", "it answers, and the answer is wrong"
    STARVED = "starved", "it is out of memory, processor, disk, connections or quota"
    CLOCK = "clock", "its time is wrong"
    DATA = "data", "what it stores is lost or damaged"
    HANDOVER = "handover", "its role moves to another, as planned"
    OTHER = "other", "none of the others"
