"""Whether the expected alert came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blackstart.measure.run import evaluate
from blackstart.model.verdict import Verdict
from tests.measure.histories import begin, end, ns
from tests.measure.test_judge import told
from tests.measure.test_recovery import around

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
WATCHING = ("watching", 0.1, None)


def alerts(*events: tuple[str, float, str | None]) -> list[dict[str, Any]]:
    """Events of the source: what, at which second, of which alert."""
    return [
        {"time": ns(at), "source": "alert", "event": event, "instance": "prometheus-1"}
        | ({"alert": name, "labels": ""} if name else {})
        for event, at, name in events
    ]


def judged(
    folder: Path, *events: tuple[str, float, str | None], managed: bool = False
) -> tuple[Verdict, str]:
    """The finding of a trial whose fault lasts from 5 to 6 s and that expects `Down`."""
    lines = [told("trial", 0, role="drill", expects_alert="Down"), *alerts(*events), begin(5), end(6)]
    if managed:
        lines += [watching | {"tells": "received"} for watching in alerts(WATCHING)]
    around(5, 6).save(folder, sorted(lines, key=lambda line: line["time"]))
    [found] = [f for f in evaluate(folder).findings if f.objective == "alert"]
    return found.verdict, found.measured


def test_an_alert_that_fires_after_the_fault_passes_and_its_steps_are_told(tmp_path: Path) -> None:
    seen = judged(
        tmp_path, WATCHING, ("pending", 6.5, "Down"), ("firing", 8.5, "Down"), ("received", 8.7, "Down")
    )
    assert seen == (PASS, "pending after 1.5 s, firing after 3.5 s, received after 3.7 s")


@pytest.mark.parametrize(
    ("events", "verdict", "why"),
    [
        ([WATCHING], FAIL, "it never fired"),
        ([WATCHING, ("firing", 7, "Other")], FAIL, "it never fired"),
        ([WATCHING, ("pending", 7, "Down"), ("withdrawn", 8, "Down")], FAIL, "pending, but it never fired"),
        ([WATCHING, ("unreachable", 7, None)], UNKNOWN, "not seen, nor was always who would tell"),
        ([("firing", 1, "Down"), ("firing", 7, "Down")], UNKNOWN, "it was firing before the fault"),
        ([], UNKNOWN, "no alerts are observed"),
    ],
)
def test_an_alert_that_does_not_come_fails_unless_nobody_could_have_told(
    tmp_path: Path, events: list[tuple[str, float, str | None]], verdict: Verdict, why: str
) -> None:
    assert judged(tmp_path, *events) == (verdict, why)


def test_where_an_alertmanager_is_watched_it_must_have_the_alert(tmp_path: Path) -> None:
    fired, received = ("firing", 5.5, "Down"), ("received", 5.7, "Down")
    lone = judged(tmp_path, WATCHING, fired, managed=True)
    assert lone == (FAIL, "firing after 0.5 s, but the Alertmanager never had it")
    both = judged(tmp_path, WATCHING, fired, received, managed=True)
    assert both == (PASS, "firing after 0.5 s, received after 0.7 s")


def test_an_alert_that_was_over_before_the_fault_counts_anew(tmp_path: Path) -> None:
    before = [("firing", 1.0, "Down"), ("received", 1.2, "Down"), ("resolved", 3.0, "Down")]
    assert judged(tmp_path, *before)[0] is FAIL
    assert judged(tmp_path, *before, ("firing", 7.0, "Down")) == (PASS, "firing after 2.0 s")


def test_a_tripped_gate_voids_an_alert_that_did_not_come_but_not_one_that_did(tmp_path: Path) -> None:
    gate = {"time": ns(5.5), "source": "gate", "event": "trip", "gate": "steal"}
    for events, verdict in (([WATCHING], UNKNOWN), ([WATCHING, ("firing", 7.0, "Down")], PASS)):
        folder = tmp_path / verdict.value
        folder.mkdir()
        lines = [
            told("trial", 0, role="drill", expects_alert="Down"),
            *alerts(*events),
            gate,
            begin(5),
            end(6),
        ]
        around(5, 6).save(folder, sorted(lines, key=lambda line: line["time"]))
        assert {f.objective: f.verdict for f in evaluate(folder).findings}["alert"] is verdict
