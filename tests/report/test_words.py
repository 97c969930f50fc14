"""Numbers as people read them never flatter."""

from __future__ import annotations

import pytest

from blackstart.report import words


def plain(text: str) -> str:
    return text.replace(words.NBSP, " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("lo", "hi", "censored", "read"),
    [
        (1.42, 1.613, False, "1.42–1.61 s"),
        (0.4, 1.5, False, "400 ms to 1.50 s"),
        (0.0, 0.0, False, "0 s"),
        (0.0, 0.35, False, "0 s to 350 ms"),
        (12.34, 30.0, True, "more than 12.3 s"),
        (59.0, 75.2, False, "59.0 s to 1 min 15 s"),
        (None, None, False, "–"),
    ],
)
def test_bounds(lo: float | None, hi: float | None, censored: bool, read: str) -> None:
    assert plain(words.bounds(lo, hi, censored)) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1.0, "100 %"),
        (0.999999, "99.99 %"),
        (0.9544, "95.44 %"),
        (0.0000001, "0.01 %"),
        (0.0, "0 %"),
        (None, "–"),
    ],
)
def test_a_share_never_rounds_a_defect_away(value: float | None, read: str) -> None:
    assert plain(words.share(value)) == read


@pytest.mark.parametrize(
    ("objective", "bound", "read"),
    [
        ("rto", "10s", "≤ 10 s"),
        ("rto", "800ms", "≤ 800 ms"),
        ("rpo", 2.5, "≤ 2.50 s"),
        ("availability", 0.85, "≥ 85 %"),
        ("availability", 0.999, "≥ 99.9 %"),
        ("lost", 0, "≤ 0"),
        ("availability", {"chat": 1.0, "session": 0.9}, "chat ≥ 100 %, session ≥ 90 %"),
        ("p99", {"chat": "+150ms"}, "chat ≤ baseline + 150 ms"),
        ("p99", {"chat": "2s"}, "chat ≤ 2 s"),
        ("mode", ["no-cache"], "some of: no-cache"),
        ("declared", {"chat": 0.9}, "chat ≥ 90 %"),
        ("goodput", {"chat": 3.32307}, "chat ≥ 3.32 a second"),
        ("checker", None, "–"),
    ],
)
def test_bounds_of_objectives_tell_their_direction(objective: str, bound: object, read: str) -> None:
    assert plain(words.bound_words(objective, bound)) == read


def test_moments_are_relative_and_signed() -> None:
    assert plain(words.moment(1.4234)) == "T+1.423 s"
    assert plain(words.moment(-0.5)) == "T−0.500 s"


def test_instants_are_in_utc_and_others_stay_as_they_are() -> None:
    assert words.instant("2026-01-15T10:30:00.25+01:00") == "2026-01-15 09:30:00 UTC"
    assert words.instant("yesterday") == "yesterday"


def test_a_fault_reads_as_its_call() -> None:
    fault = {"kind": "kill", "target": "postgres.primary", "process": "postgres", "max_duration": "120s"}
    assert words.fault_words(fault) == "kill(postgres.primary, process=postgres)"
    empty = {"kind": "edge_latency", "target": "app-1", "jitter": 0, "spared": "", "allow_total_loss": False}
    assert words.fault_words(empty) == "edge_latency(app-1, jitter=0)"
