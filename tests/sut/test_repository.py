"""The programs of the repository host, with stand-ins for pgBackRest."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from .programs import Programs

SCRIPTS = Path(__file__).parents[2] / "sut" / "recovery" / "repository"
FULL, DIFF, INCR = (
    "20260101-000000F",
    "20260101-000000F_20260101-003000D",
    "20260101-000000F_20260101-001000I",
)
#: Takes the backup whose label is in the file `label`, if there is one, and does what else it is asked.
BACKREST = """
echo "pgbackrest $*" >> "$FOLDER/calls"
case "$*" in
  *backup)
    [ -e "$FOLDER/label" ] || exit 55
    mkdir -p "$BACKUPS/$(cat "$FOLDER/label")"
    touch "$BACKUPS/$(cat "$FOLDER/label")/backup.manifest"
    ;;
  *verify) cat "$FOLDER/verified"; exit "$(cat "$FOLDER/code")" ;;
esac
"""


class Host:
    """The repository's host: the arguments of every call of pgBackRest, and its files."""

    def __init__(self, folder: Path) -> None:
        # `id`: whoever runs the tests is the user of the repository.
        self.programs = Programs(
            folder, {"pgbackrest": BACKREST, "sleep": "", "nice": 'shift 2; "$@"', "id": "echo 34"}
        )
        self.state, self.backups = folder / "state", folder / "backups"
        self.state.mkdir()
        self.backups.mkdir()
        for name in ("take-backup", "verify-repository"):
            self.programs.put(name, f'exec sh "{SCRIPTS / name}" "$@"')

    def have(self, label: str, age_s: float = 0) -> None:
        """Have a complete backup of that age."""
        (self.backups / label).mkdir()
        manifest = self.backups / label / "backup.manifest"
        manifest.touch()
        os.utime(manifest, (time.time() - age_s,) * 2)

    def next(self, label: str) -> None:
        """Have the next backup succeed, under this label."""
        (self.programs.folder / "label").write_text(label)

    def run(self, name: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        given = {"STATE": str(self.state), "BACKUPS": str(self.backups), **env}
        return self.programs.run(SCRIPTS / name, *words, cwd=self.programs.folder, **given)

    @property
    def taken(self) -> list[str]:
        """The kinds of the backups that were tried."""
        return [
            word.removeprefix("--type=")
            for call in self.programs.calls
            for word in call.split()
            if word.startswith("--type=")
        ]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_backup_tells_its_label(host: Host) -> None:
    host.have(FULL, 60)
    # Beside the backups there is a link to the newest.
    (host.backups / "latest").symlink_to(FULL)
    host.next(INCR)
    done = host.run("take-backup", "incr")
    assert (done.returncode, done.stdout) == (0, f"{INCR}\n")
    assert host.taken == ["incr"]
    assert "--archive-check" in host.programs.calls[0].split()


def test_a_backup_that_fails_is_none(host: Host) -> None:
    host.have(FULL)
    done = host.run("take-backup", "full")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "take-backup: failed: no full backup was taken" in done.stderr


def test_a_kind_that_is_none_is_refused(host: Host) -> None:
    done = host.run("take-backup", "weekly")
    assert done.returncode == 64
    assert "full, diff or incr" in done.stderr
    assert host.programs.calls == []


def test_without_wal_nobody_waits_for_it(host: Host) -> None:
    (host.state / "backups-without-wal").touch()
    host.next(FULL)
    assert host.run("take-backup").returncode == 0
    assert "--no-archive-check" in host.programs.calls[0].split()


@pytest.mark.parametrize(
    ("ages", "due"),
    [
        ({}, ["full"]),
        ({FULL: 10}, []),
        ({FULL: 601}, ["incr"]),
        ({FULL: 1801}, ["diff"]),
        ({FULL: 1801, INCR: 10}, ["diff"]),
        ({FULL: 1801, DIFF: 10}, []),
        ({FULL: 2500, DIFF: 700}, ["incr"]),
        ({FULL: 3601, DIFF: 10, INCR: 10}, ["full"]),
    ],
)
def test_each_kind_is_taken_when_its_time_has_come(
    host: Host, ages: dict[str, float], due: list[str]
) -> None:
    for label, age in ages.items():
        host.have(label, age)
    host.next("20260102-000000F")
    host.run("schedule.sh", LOOKS="1", VERIFY_EVERY_S="60")
    assert host.taken == due


def test_the_schedule_reads_the_repository_now_and_then(host: Host) -> None:
    host.have(FULL)
    (host.programs.folder / "verified").write_text("stanza: main\nstatus: ok\n")
    (host.programs.folder / "code").write_text("0")
    host.run("schedule.sh", LOOKS="2", VERIFY_EVERY_S="0")
    assert sum(call.endswith("verify") for call in host.programs.calls) == 2


@pytest.mark.parametrize(
    ("told", "code"),
    [("status: error\n  checksum invalid: 1\n", "0"), ("ERROR: [122]: 1 fatal errors encountered\n", "122")],
)
def test_a_damaged_repository_is_told_of_until_it_is_whole(host: Host, told: str, code: str) -> None:
    (host.programs.folder / "verified").write_text(told)
    (host.programs.folder / "code").write_text(code)
    done = host.run("verify-repository")
    assert done.returncode == 1
    assert "verify-repository: failed: the repository is damaged:" in done.stderr
    assert looked(host)["repository_verification_failed"] == 1
    (host.programs.folder / "verified").write_text("status: ok\n")
    (host.programs.folder / "code").write_text("0")
    assert host.run("verify-repository").returncode == 0
    assert looked(host)["repository_verification_failed"] == 0


def test_without_verification_nobody_looks(host: Host) -> None:
    (host.state / "no-verification").touch()
    assert host.run("verify-repository").returncode == 0
    assert host.programs.calls == []


def looked(host: Host) -> dict[str, float]:
    """The metrics of one look."""
    told, folder = host.programs.folder / "metrics", host.programs.folder / "repository"
    done = host.run("metrics.sh", METRICS=str(told), REPOSITORY=str(folder), LOOKS="1", LIMIT_S="30")
    assert done.returncode == 0, done.stderr
    return {name: float(value) for name, value in (line.split() for line in told.read_text().splitlines())}


def test_metrics_tell_the_age_of_the_newest_backup_and_what_the_archive_has(host: Host) -> None:
    began = time.time()
    told = looked(host)
    assert told["backup_completed_timestamp_seconds"] == pytest.approx(began, abs=5)
    assert told["backup_limit_seconds"] == 30
    assert 0 < told["repository_free_blocks"] <= told["repository_blocks"]
    assert "repository_wal_segment" not in told
    host.have(FULL, 100)
    host.have(INCR, 50)
    archive = host.programs.folder / "repository" / "archive" / "main"
    for name in (
        "17-1/0000000100000009/000000010000000900000005-0a1b.zst",
        "17-1/0000000200000003/000000020000000300000004-0a1b.zst",
        "17-1/0000000200000003/000000020000000300000007.partial-0a1b.zst",
        "17-1/00000002.history",
    ):
        path = archive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    told = looked(host)
    assert told["backup_completed_timestamp_seconds"] == pytest.approx(began - 50, abs=5)
    assert told["repository_wal_segment"] == (3 << 16) + 4, "of the newest timeline, and whole"


# -- WAL that is received as it is written -----------------------------------------------------------

SEGMENT = "00000001000000000000000A"


def receive(host: Host, *, primary: bool, turns: int) -> Path:
    """Have a receiver that ends at once, so often; returns where what was received is."""
    received = host.state.parent / "received"
    received.mkdir()
    (received / SEGMENT).touch()
    (host.state / "receive").touch()
    host.programs.put("pg_receivewal", "exit 1")
    host.programs.put("pg_isready", f"exit {0 if primary else 2}")
    given = {"PRIMARY": "host=pgproxy-1", "REPLICATION_PASSWORD": "x", "RECEIVED": str(received)}
    done = host.run("receive-wal.sh", TURNS=str(turns), **given)
    assert done.returncode == 0, done.stderr
    return received


def test_what_was_received_stays_where_it_is_while_there_is_no_primary(host: Host) -> None:
    received = receive(host, primary=False, turns=12)
    assert [path.name for path in received.iterdir()] == [SEGMENT]
    assert not list(received.parent.glob("received.former*"))


def test_what_cannot_be_gone_on_from_is_put_aside_and_never_removed(host: Host) -> None:
    received = receive(host, primary=True, turns=10)
    assert not received.exists()
    [former] = received.parent.glob("received.former-*")
    assert [path.name for path in former.iterdir()] == [SEGMENT]


@pytest.mark.parametrize(("cluster", "kept"), [("17-9", True), ("17-10", False)])
def test_only_the_archive_of_the_cluster_of_now_makes_a_received_segment_needless(
    host: Host, cluster: str, kept: bool
) -> None:
    backups = host.state.parent / "repository" / "backup" / "main"
    for each in ("17-9", "17-10"):
        (host.state.parent / "repository" / "archive" / "main" / each / SEGMENT[:16]).mkdir(parents=True)
    archive = backups.parents[1] / "archive" / "main" / cluster / SEGMENT[:16]
    (archive / f"{SEGMENT}-0a1b.zst").touch()
    host.backups = backups
    assert (receive(host, primary=False, turns=1) / SEGMENT).exists() is kept
