"""What drills ask of backups, with an instance that answers as its programs do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from blackstart.platforms.capabilities import ExecResult
from blackstart.stack.running import RunningStack
from fixtures.recovery import backed_up
from sut.recovery import backups
from sut.recovery.backups import BackupError, Repository, Verification
from sut.recovery.settings import REPOSITORY, SIDE
from sut.recovery.stack import stack

LABEL = "20260101-000000F"
SEGMENT = "00000001000000000000000A"
SYSTEM = "7500000000000000001"


def told(*, status: str = "ok", labels: Sequence[str] = (LABEL,), error: bool = False) -> str:
    """What `repository-info` prints of a cluster that was adopted after another."""
    made = [
        {
            "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000003"},
            "database": {"id": 2, "repo-key": 1},
            "error": error,
            "info": {"delta": 9, "repository": {"delta": 300}, "size": 4000},
            "label": label,
            "lsn": {"start": "0/800028", "stop": "0/C00100"},
            "timestamp": {"start": 1767225600, "stop": 1767225605},
            "type": "full" if label.endswith("F") else "incr",
        }
        for label in labels
    ]
    former = {**made[0], "database": {"id": 1, "repo-key": 1}, "label": "20251231-000000F"} if made else None
    stanza = {
        "name": "main",
        "archive": [
            {"database": {"id": 1}, "id": "17-1", "min": "0", "max": "1"},
            {"database": {"id": 2}, "id": "17-2", "min": "000000010000000000000001", "max": SEGMENT},
        ],
        "backup": [former, *made] if former else [],
        "db": [{"id": 1, "system-id": 7}, {"id": 2, "system-id": int(SYSTEM)}],
        "status": {"code": 0, "message": status},
    }
    return f"P00   WARN: something\n{json.dumps([stanza])}\n"


@dataclass
class Running:
    """A stack whose instances answer commands by their first word, and psql by what the query has in it."""

    answers: dict[str, Any]
    stack: Any = stack
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def exec(self, instance: str, command: Sequence[str], timeout: float = 10.0) -> ExecResult:
        """As RunningStack."""
        self.asked.append((instance, tuple(command)))
        if command[0] == "psql":
            text = next(str(a) for key, a in self.answers.items() if key in command[-1])
            return ExecResult(0, f"{text}\n")
        answer = self.answers.get(command[0], "")
        return answer if isinstance(answer, ExecResult) else ExecResult(0, str(answer))

    def resolve(self, selector: str) -> tuple[Any, ...]:
        """As RunningStack: the primary is pg-2."""
        return (stack.instance("pg-2" if selector == backups.PRIMARY else selector),)

    @property
    def commands(self) -> list[tuple[str, tuple[str, ...]]]:
        """What was run beside psql."""
        return [(instance, words) for instance, words in self.asked if words[0] != "psql"]


def running(**answers: Any) -> RunningStack:
    return cast(RunningStack, Running(answers))


def test_the_repository_is_that_of_the_cluster_of_now() -> None:
    found = Repository.parse(told(labels=[LABEL, f"{LABEL}_20260101-001000I"]))
    assert [b.label for b in found.backups] == [LABEL, f"{LABEL}_20260101-001000I"]
    assert found.latest.type == "incr"
    assert (found.system_id, found.wal_max) == (SYSTEM, SEGMENT)
    backup = found.backups[0]
    assert (backup.stopped - backup.started).total_seconds() == 5
    assert (backup.size, backup.kept, backup.lsn_stop) == (4000, 300, "0/C00100")


def test_a_repository_without_a_backup_has_no_latest_one() -> None:
    with pytest.raises(BackupError, match="no backup: no valid backups"):
        _ = Repository.parse(told(status="no valid backups", labels=[])).latest


@pytest.mark.parametrize("text", ["", "ERROR: [049]: unable to connect", "[]", '[{"name": "main"}]'])
def test_what_is_no_account_is_an_error(text: str) -> None:
    with pytest.raises(BackupError, match="no account of a repository"):
        Repository.parse(text)
    with pytest.raises(BackupError, match="no account of a verification"):
        Verification.parse(text)


def test_a_backup_is_known_by_the_last_line() -> None:
    sample = running(**{"take-backup": f"WARN: no standby\n{LABEL}\n"})
    assert backups.backup(sample, "diff") == LABEL
    assert cast(Running, sample).asked == [(REPOSITORY, ("take-backup", "diff"))]


def test_a_program_that_fails_tells_its_last_lines() -> None:
    lines = "\n".join(f"line {n}" for n in range(40))
    with pytest.raises(BackupError, match=r"repo-1: `take-backup full` ended with 55\nline 25\n") as failed:
        backups.backup(running(**{"take-backup": ExecResult(55, lines)}))
    assert "line 24" not in str(failed.value)


DF = "Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs 1000 {} {} 0% /var/lib/pgbackrest\n"


@pytest.mark.parametrize(("used", "kind"), [(100, "incr"), (499, "incr"), (500, "full"), (990, "full")])
def test_a_repository_that_fills_gets_a_full_backup_which_has_older_ones_expire(
    used: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "wait_ready", lambda _: None)
    sample = running(**{"df": DF.format(used, 1000 - used), "take-backup": f"{LABEL}\n"})
    backed_up(sample)
    assert cast(Running, sample).asked[-1] == (REPOSITORY, ("take-backup", kind))


def test_a_switch_waits_for_the_segment_that_it_ended() -> None:
    sample = running(**{"pg_switch_wal() - 1": SEGMENT, "emit": "0/0"})
    assert backups.switch_wal(sample) == SEGMENT
    [(instance, words)] = cast(Running, sample).commands
    assert (instance, words[-1]) == (REPOSITORY, SEGMENT)


def test_what_never_arrives_is_told_with_what_did() -> None:
    sample = running(**{"sh": ExecResult(2, "no such file"), "repository-info": told()})
    with pytest.raises(BackupError, match=f"segment 0000000100000000000000FF .*the last is {SEGMENT}"):
        backups.archived_up_to(sample, "0000000100000000000000FF", limit="0s")


def test_a_side_cluster_is_made_in_place_of_the_former_one() -> None:
    account = {
        "backup": LABEL,
        "type": "lsn",
        "target": "0/3",
        "stopped": "before LSN 0/3",
        "lsn": "0/3",
        "timeline": 2,
        "parent": 1,
        "copied_s": 1,
        "replayed_s": 2,
        "opened_s": 0.1,
    }
    sample = running(cat=json.dumps(account))
    done = backups.restore_side(sample, "lsn", "0/3", timeline="1")
    assert (done.backup, done.parent, done.timeline) == (LABEL, 1, 2)
    assert cast(Running, sample).commands[:2] == [
        (SIDE, ("drop-cluster",)),
        (SIDE, ("restore-cluster", "--type", "lsn", "--target", "0/3", "--timeline", "1")),
    ]


def test_a_digest_is_of_the_instance_that_is_asked() -> None:
    sample = running(hashtextextended="12|-345")
    assert backups.table_digest(sample, SIDE, "turns") == (12, "-345")
    assert [instance for instance, _ in cast(Running, sample).asked] == [SIDE]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({}, None),
        ({"repository-info": told(status="no valid backups", labels=[])}, "no valid backups"),
        ({"system_identifier": "8"}, f"of cluster {SYSTEM}, not of 8: run adopt-cluster"),
        ({"repository-info": told(labels=[f"{LABEL}_20260101-001000I"])}, "no full backup"),
        ({"repository-info": told(error=True)}, "no full backup"),
        ({"pg_stat_archiver": "|t"}, "archiving fails; the last segment archived is none"),
        ({"pg_stat_archiver": f"{SEGMENT}|f"}, None),
    ],
)
def test_ready_means_a_backup_of_this_cluster_and_wal_that_arrives(
    answers: dict[str, str], says: str | None
) -> None:
    given = {
        "repository-info": told(),
        "system_identifier": SYSTEM,
        "pg_stat_archiver": f"{SEGMENT}|f",
        **answers,
    }
    wrong = backups.ready(running(**given))
    assert wrong is None if says is None else says in (wrong or "")
