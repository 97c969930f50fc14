"""What the programs of the stack `recovery` tell of backups, restores and verifications, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from blackstart.model.errors import HarnessError
from sut.recovery.settings import STANZA


class BackupError(HarnessError):
    """A backup, an archive or a restore is not what it should be."""


@dataclass(frozen=True)
class Backup:
    """One backup of the repository. Sizes in bytes: the database's, and what the repository keeps of it."""

    label: str
    type: str
    started: datetime
    stopped: datetime
    lsn_start: str
    lsn_stop: str
    wal_start: str
    wal_stop: str
    size: int
    kept: int
    damaged: bool


@dataclass(frozen=True)
class Repository:
    """What the repository holds: backups, the oldest first, and the first and last archived WAL segment.

    `system_id` is that of the cluster whose backups they are. `wal_min` and `wal_max` are empty while nothing
    is archived.
    """

    status: str
    system_id: str
    backups: tuple[Backup, ...]
    wal_min: str
    wal_max: str

    @classmethod
    def parse(cls, text: str) -> Repository:
        """From what `repository-info` prints, of which the last line is JSON. Raises BackupError."""
        try:
            [stanza] = [s for s in json.loads(_last_line(text)) if s["name"] == STANZA]
            databases, archives = stanza["db"], stanza["archive"]
            # The last is that of the cluster of now; those before it were given up when it was adopted.
            current = databases[-1]["id"] if databases else None
            spans = [a for a in archives if a["database"]["id"] == current]
            return cls(
                status=str(stanza["status"]["message"]),
                system_id=str(databases[-1]["system-id"]) if databases else "",
                backups=tuple(_backup(b) for b in stanza["backup"] if b["database"]["id"] == current),
                wal_min=str(spans[-1]["min"] or "") if spans else "",
                wal_max=str(spans[-1]["max"] or "") if spans else "",
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError(f"no account of a repository: {text[-500:].strip()}") from error

    @property
    def latest(self) -> Backup:
        """The newest backup. Raises BackupError if there is none."""
        if not self.backups:
            raise BackupError(f"the repository has no backup: {self.status}")
        return self.backups[-1]


@dataclass(frozen=True)
class Restored:
    """What `restore-cluster`, `restore-in-place` or `rebuild-from-repository` restored last on a node.

    `type` is time, lsn, name, immediate or default, `target` empty for the latter two. `stopped` is why
    recovery ended, in the words of the timeline's history; `lsn` where it ended; `timeline` the new timeline,
    `parent` the one it left. `copied_s`, `replayed_s`, `opened_s`: seconds to copy the files, to start and
    replay WAL up to there, and until it takes writes.
    """

    backup: str
    type: str
    target: str
    stopped: str
    lsn: str
    timeline: int
    parent: int
    copied_s: float
    replayed_s: float
    opened_s: float

    @classmethod
    def parse(cls, text: str) -> Restored:
        """From the JSON that the program leaves behind. Raises BackupError."""
        try:
            return _restored(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError(f"no account of a restore: {text[-500:].strip()}") from error


@dataclass(frozen=True)
class Verification:
    """What `verify-restore` found: a restore of the latest backup, examined.

    `tables`: rows and order-free checksum of each table, by `database.schema.table`. `checks` names what was
    examined, `errors` what was wrong; `ok` only if nothing was. `seconds` is how long it all took.
    """

    ok: bool
    restored: Restored | None
    tables: Mapping[str, tuple[int, str]]
    checks: tuple[str, ...]
    errors: tuple[str, ...]
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Verification:
        """From what `verify-restore` prints, of which the last line is JSON. Raises BackupError."""
        try:
            told = json.loads(_last_line(text))
            return cls(
                ok=bool(told["ok"]),
                restored=_restored(told["restored"]) if told["restored"] else None,
                tables={str(n): (int(rows), str(digest)) for n, (rows, digest) in told["tables"].items()},
                checks=tuple(map(str, told["checks"])),
                errors=tuple(map(str, told["errors"])),
                seconds=float(told["seconds"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackupError(f"no account of a verification: {text[-500:].strip()}") from error


def _last_line(text: str) -> str:
    """What goes before it are warnings."""
    return (text.strip().splitlines() or [""])[-1]


def _backup(told: Mapping[str, Any]) -> Backup:
    return Backup(
        label=str(told["label"]),
        type=str(told["type"]),
        started=datetime.fromtimestamp(told["timestamp"]["start"], UTC),
        stopped=datetime.fromtimestamp(told["timestamp"]["stop"], UTC),
        lsn_start=str(told["lsn"]["start"]),
        lsn_stop=str(told["lsn"]["stop"]),
        wal_start=str(told["archive"]["start"]),
        wal_stop=str(told["archive"]["stop"]),
        size=int(told["info"]["size"]),
        kept=int(told["info"]["repository"]["delta"]),
        damaged=bool(told["error"]),
    )


def _restored(told: Mapping[str, Any]) -> Restored:
    return Restored(
        backup=str(told["backup"]),
        type=str(told["type"]),
        target=str(told["target"]),
        stopped=str(told["stopped"]),
        lsn=str(told["lsn"]),
        timeline=int(told["timeline"]),
        parent=int(told["parent"]),
        copied_s=float(told["copied_s"]),
        replayed_s=float(told["replayed_s"]),
        opened_s=float(told["opened_s"]),
    )
