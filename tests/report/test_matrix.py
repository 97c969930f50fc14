"""Objective by control."""

from __future__ import annotations

from blackstart.model.verdict import Verdict
from blackstart.report.matrix import Sabotage, matrix

OBJECTIVES = ("rto", "lost")


def sabotage(variant: str, proof: str, *broke: str) -> Sabotage:
    return Sabotage("postgres.crash", variant, "lost", OBJECTIVES, broke, Verdict(proof))


def test_without_controls_there_is_none() -> None:
    assert matrix([], OBJECTIVES) is None


def test_each_cell_tells_what_the_sabotage_broke() -> None:
    found = matrix(
        [sabotage("a", "pass", "lost", "rto"), sabotage("b", "fail"), sabotage("c", "unknown", "rto")],
        [*OBJECTIVES, "duplicate"],
    )
    assert found is not None
    assert found.rows == (
        ("rto", "caught elsewhere", ("caught elsewhere", "held", "caught elsewhere")),
        ("lost", "caught", ("caught", "NOT CAUGHT", "unknown")),
        ("duplicate", "no control", ("", "", "")),
    )
    assert found.score == "1 of 3 (33%)"
