"""What a drill says of a restore: an event, a finding, nothing in a placebo."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from blackstart.drill.attempt import Attempt
from blackstart.drill.restored import Check, record, restore_event
from blackstart.history.writer import EventWriter
from blackstart.model.errors import ConfigError
from blackstart.model.experiment import Role

LABEL = "20260115-092000F"


@dataclass
class Under:
    """What of an attempt is used: role, notes, events."""

    events: EventWriter
    role: Role = Role.DRILL
    notes: list[str] = field(default_factory=list)


def recorded(
    folder: Path, checks: dict[str, Check], role: Role = Role.DRILL
) -> tuple[Under, list[dict[str, Any]]]:
    path = folder / "events.jsonl"
    with EventWriter(path, lambda: 7) as events:
        under = Under(events, role)
        record(
            cast(Attempt, under),
            restore_event("table turns", LABEL, "restore-1", "lsn", "0/7000000", 2, checks),
        )
    return under, [json.loads(line) for line in path.read_text().splitlines()]


def test_a_restore_is_an_event_and_its_checks_a_finding(tmp_path: Path) -> None:
    _, (restored, finding) = recorded(tmp_path, {"amcheck": True, "rows": (True, "1204 rows")})
    assert restored == {
        "time": 7,
        "source": "restore",
        "event": "restored",
        "what": "table turns",
        "from": LABEL,
        "into": "restore-1",
        "type": "lsn",
        "target": "0/7000000",
        "timeline": 2,
        "checks": {
            "amcheck": {"passed": True, "detail": ""},
            "rows": {"passed": True, "detail": "1204 rows"},
        },
    }
    assert (finding["objective"], finding["verdict"]) == ("restored", "pass")
    assert finding["measured"] == "table turns: held: amcheck, rows"


def test_a_check_that_failed_fails_the_trial(tmp_path: Path) -> None:
    _, (restored, finding) = recorded(tmp_path, {"amcheck": True, "rows": (False, "1203 of 1204")})
    assert restored["checks"]["rows"]["passed"] is False
    assert finding["verdict"] == "fail"
    assert finding["measured"] == "table turns: rows (1203 of 1204)"


def test_a_placebo_records_none(tmp_path: Path) -> None:
    under, lines = recorded(tmp_path, {"amcheck": True}, Role.PLACEBO)
    assert lines == [] and "table turns" in under.notes[0]


def test_a_restore_that_nothing_checked_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one check"):
        restore_event("table turns", LABEL, "restore-1", "time", None, None, {})


@pytest.mark.parametrize("empty", ["what", "backup", "into", "type"])
def test_what_must_be_told_is_asked_for(empty: str) -> None:
    told = {"what": "table turns", "backup": LABEL, "into": "restore-1", "type": "time", empty: " "}
    with pytest.raises(ConfigError, match=empty):
        restore_event(**told, target=None, timeline=None, checks={"amcheck": True})
