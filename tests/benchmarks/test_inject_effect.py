"""When clients felt a fault, from what a client saw."""

from __future__ import annotations

from benchmarks.inject_effect import IN_A_ROW, LIMIT_NS, Look, effect

MS = 1_000_000


def looks(*outcomes: tuple[int, int, str]) -> list[Look]:
    """(begin, end, outcome) in ms, and one look much later, so that none of these can be missing."""
    given = [Look(begin * MS, end * MS, outcome) for begin, end, outcome in outcomes]
    return [*given, Look(900 * MS, 901 * MS, "ok")]


def test_an_error_is_felt_when_it_comes() -> None:
    seen = looks((0, 1, "ok"), (4, 9, "error"), (8, 9, "error"), (12, 13, "error"))
    assert effect(seen, 5 * MS, ok=False) == 4 * MS


def test_silence_is_felt_from_the_first_request_that_met_it() -> None:
    seen = looks((0, 1, "ok"), (14, 114, "late"), (18, 118, "late"), (22, 122, "late"))
    assert effect(seen, 5 * MS, ok=False) == 9 * MS


def test_the_order_is_that_of_the_begins() -> None:
    seen = looks((8, 108, "late"), (12, 112, "late"), (4, 104, "late"), (0, 1, "ok"))
    assert effect(seen[::-1], 0, ok=False) == 4 * MS


def test_a_single_mishap_is_not_the_fault() -> None:
    seen = looks((0, 1, "error"), (4, 5, "ok"), (8, 9, "error"), (12, 13, "error"), (16, 17, "error"))
    assert effect(seen, 0, ok=False) == 9 * MS
    assert IN_A_ROW == 3


def test_what_ended_before_is_no_effect() -> None:
    seen = looks((0, 1, "ok"), (4, 5, "ok"), (8, 9, "ok"), (12, 13, "error"))
    assert effect(seen, 10 * MS, ok=True) is None


def test_a_request_begun_before_an_undo_and_answered_after_it_shows_it() -> None:
    seen = looks((0, 60, "ok"), (4, 60, "ok"), (8, 61, "ok"))
    assert effect(seen, 50 * MS, ok=True) == 10 * MS


def test_nothing_is_said_while_an_earlier_look_may_be_missing() -> None:
    begun = [Look(n * MS, (n + 1) * MS, "error") for n in range(4)]
    assert effect(begun, 0, ok=False) is None
    settled = Look(4 * MS, 4 * MS + LIMIT_NS + 1, "error")
    assert effect([*begun, settled], 0, ok=False) == 1 * MS


def test_what_was_late_before_the_fault_is_not_its_effect() -> None:
    seen = looks((0, 100, "late"), (4, 104, "late"), (8, 108, "late"), (12, 112, "late"), (16, 116, "late"))
    assert effect(seen, 6 * MS, ok=False) == 2 * MS
