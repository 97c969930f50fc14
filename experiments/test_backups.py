"""Backups and their archive are damaged, full or silently broken: that is noticed, and nothing pretends."""

from datetime import timedelta

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    disk_full,
    edge_down,
    experiment,
    file_corrupted,
    file_removed,
    file_replaced,
    instances_lost,
    kill,
    promoted,
    rows_deleted,
    suspend,
)
from fixtures.backups import (
    LATEST,
    LEDGER,
    PUSH,
    YES,
    counted,
    fully_backed_up,
    ledger,
    record_verified,
    restored_all_the_same,
    segment_of,
    silent,
    verification,
    verified_every,
)
from fixtures.recovery import BRIEF, GOES_ON, LONG, PRIMARY, backed_up, record_restored, rows, rows_recovered
from sut.recovery import backups
from sut.recovery.settings import REPOSITORY, SIDE

UNFELT = Objectives(rto=BRIEF, availability=GOES_ON, undetected=0, rows_missing=0, lost=0, duplicate=0)
#: The wrong attempt is refused, and the right one gives back everything.
REFUSED_AND_RECOVERED = Objectives(
    rto=BRIEF,
    availability=GOES_ON,
    undetected=0,
    rows_missing=0,
    rows_changed=0,
    rows_unexpected=0,
    lost=0,
    duplicate=0,
)
#: What pgBackRest says where a process that copies files fails: by a checksum, or to decrypt or decompress.
DAMAGED = "raised from local-"


@experiment(
    stack="recovery",
    hypothesis="A backup of which a disk has damaged some bytes is found when the repository is read, an "
    "alert says so, and a restore from it fails with a word.",
    runbook="backup-damaged",
    objectives=UNFELT,
    control=(
        Control(variant="no-backup-verify", breaks="undetected", at="verify"),
        Control(variant="restore-ignores-errors", breaks="undetected", at="restore"),
    ),
    expects_alert="RepositoryDamaged",
    prepare=fully_backed_up,
)
def test_corrupted_backup(drill: Drill) -> None:
    begun = backups.info(drill.stack).latest.started
    known = rows(drill.stack, only=f"at < '{begun.isoformat()}'")
    with drill.inject(file_corrupted(REPOSITORY, LATEST, max_duration=LONG)):
        drill.follow("backup-damaged", "find", "verify", fails="verify-repository: failed:")
        drill.follow("backup-damaged", "find", "clear", "restore", fails=DAMAGED)
        # The metrics are looked at every 5 s.
        drill.hold("10s")
    drill.follow("backup-damaged", "find", "verify")
    restored_all_the_same(drill, "the newest backup", known)


@experiment(
    stack="recovery",
    hypothesis="Where a segment of the log is missing, a restore to a target behind it and a restore to the "
    "end both fail with a word, and do not end silently before the gap.",
    runbook="backup-damaged",
    objectives=UNFELT,
    control=Control(variant="restore-ignores-errors", breaks="undetected", at="restore"),
    prepare=backed_up,
)
def test_missing_segment(drill: Drill) -> None:
    sample = drill.stack
    begin = backups.info(sample).latest.label
    missing = backups.switch_wal(sample)
    drill.hold("3s")
    known, target = rows(sample), backups.now(sample)
    drill.hold("2s")
    backups.switch_wal(sample)
    wanted = {"TYPE": "time", "TARGET": target, "SET": begin}
    with drill.inject(file_removed(REPOSITORY, segment_of(missing), max_duration=LONG)):
        steps = ("find", "clear", "restore")
        drill.follow("backup-damaged", *steps, env=wanted, fails="the target was not reached")
        # Without a target a gap looks like the end of the archive.
        drill.follow("backup-damaged", *steps, env={"TYPE": "default", "SET": begin}, fails="WAL is missing")
    restored_all_the_same(drill, "the cluster, by time", known, **wanted)


@experiment(
    stack="recovery",
    hypothesis="A restore along the timeline that was left by a failover does not reach a moment after it, "
    "and says so.",
    runbook="backup-damaged",
    objectives=Objectives(rto="15s", undetected=0, rows_missing=0, lost=0, duplicate=0, split_brain=0),
    control=Control(variant="restore-ignores-errors", breaks="undetected", at="restore"),
    prepare=backed_up,
)
def test_wrong_timeline(drill: Drill) -> None:
    sample = drill.stack
    begin, left = backups.info(sample).latest.label, backups.timeline(sample)
    drill.inject(kill(PRIMARY, process="postgres", max_duration=LONG))
    drill.observe(until=promoted("postgres"), limit="30s")
    known, target = rows(sample), backups.now(sample)
    drill.hold("2s")
    backups.switch_wal(sample)
    wanted = {"TYPE": "time", "TARGET": target, "SET": begin}
    wrong = {**wanted, "TIMELINE": str(left)}
    steps = ("find", "clear", "restore")
    drill.follow("backup-damaged", *steps, env=wrong, fails="the target was not reached")
    restored_all_the_same(drill, "the cluster, by time, across a failover", known, **wanted)


@experiment(
    stack="recovery",
    hypothesis="A restore to a moment before the oldest backup is refused; to the right one it gives back "
    "what was deleted.",
    runbook="backup-damaged",
    objectives=REFUSED_AND_RECOVERED,
    control=Control(variant="restore-ignores-errors", breaks="undetected", at="restore"),
    prepare=backed_up,
)
def test_target_before_first_backup(drill: Drill) -> None:
    too_early = backups.info(drill.stack).backups[0].started - timedelta(minutes=5)
    wrong = {"TYPE": "time", "TARGET": f"{too_early:%Y-%m-%d %H:%M:%S}+00"}
    rows_recovered(drill, by="time", refused=wrong, saying="unable to find backup set")


@experiment(
    stack="recovery",
    hypothesis="With another key than the repository's nothing is restored, and the restore says why; with "
    "the right one it gives back what was deleted.",
    runbook="backup-damaged",
    objectives=REFUSED_AND_RECOVERED,
    control=Control(variant="restore-ignores-errors", breaks="undetected", at="restore"),
    prepare=backed_up,
)
def test_wrong_key(drill: Drill) -> None:
    key = (
        "-e PGBACKREST_REPO1_CIPHER_TYPE=aes-256-cbc -e PGBACKREST_REPO1_CIPHER_PASS=the-key-of-another-year"
    )
    rows_recovered(drill, by="time", refused={"WITH": key}, saying="its key is another")


@experiment(
    stack="recovery",
    hypothesis="While the repository is full, archiving fails and says so, clients notice nothing, and once "
    "there is room nothing of that time is missing.",
    runbook="repository-full",
    objectives=Objectives(
        rto=BRIEF, availability=GOES_ON, alerts_missing=0, rows_missing=0, lost=0, duplicate=0
    ),
    control=Control(variant="no-backup-alerts", breaks="alerts_missing"),
    expects_alert="ArchivingFails",
    prepare=backed_up,
)
def test_repository_full(drill: Drill) -> None:
    sample = drill.stack
    with drill.inject(disk_full(REPOSITORY, allow_total_loss=True, max_duration=LONG)):
        # A segment must wait for 20 s before anybody is told, and 5 s more.
        drill.hold("50s")
        drill.count("alerts_missing", silent(sample, "ArchivingFails", "RepositoryNearlyFull"))
        known, point = rows(sample), backups.lsn(sample)
    drill.premise("turns were there", bool(known.sums))
    drill.follow("repository-full", "find", "verify")
    drill.hold("2s")
    backups.switch_wal(sample)
    wanted = {"TYPE": "lsn", "TARGET": point}
    followed = drill.follow("backup-damaged", "find", "clear", "restore", env=wanted)
    if followed.ran:
        missing = known.missing(rows(sample, SIDE))
        drill.count("rows_missing", missing)
        record_restored(
            drill,
            "the cluster, by LSN, of the time when nothing was archived",
            SIDE,
            {"no row is missing": not missing},
            type="lsn",
            target=point,
        )
        drill.follow("backup-damaged", "find", "drop")


@experiment(
    stack="recovery",
    hypothesis="An archive command that says yes and keeps nothing is noticed: by an alert, and by whoever "
    "checks.",
    runbook="archiving-broken",
    objectives=Objectives(
        rto=BRIEF, availability=GOES_ON, alerts_missing=0, undetected=0, lost=0, duplicate=0
    ),
    control=Control(variant="no-backup-alerts", breaks="alerts_missing"),
    expects_alert="WalNotInRepository",
    blast_radius=BlastRadius(instances=2, zones=2),
    prepare=backed_up,
)
def test_archiving_broken(drill: Drill) -> None:
    with drill.inject(file_replaced("postgres", path=PUSH, by=YES, max_duration=LONG)):
        # A segment each 10 s, looked at every 5 s; what is missing must be so for half a minute.
        drill.hold("75s")
        drill.count("alerts_missing", silent(drill.stack, "WalNotInRepository"))
        drill.follow("archiving-broken", "find", "check", fails="check-archiving: failed:")
    # What was said to be archived never will be: a new backup begins behind the hole.
    drill.follow("archiving-broken", "find", "backup", "verify")


@experiment(
    stack="recovery",
    hypothesis="What a primary had not archived when it was lost is archived by the standby that replaces "
    "it: the moment before the failover can be recovered to.",
    runbook="archiving-broken",
    objectives=Objectives(rto="75s", rows_missing=0, lost=0, duplicate=0, split_brain=0),
    control=Control(variant="hole", breaks="rows_missing", at="restore"),
    blast_radius=BlastRadius(faults=2, zones=2),
    prepare=backed_up,
)
def test_archive_hole(drill: Drill) -> None:
    sample = drill.stack
    begin = backups.info(sample).latest.label
    # Segments of 10 s are finished that the primary cannot push; it is lost with them.
    drill.inject(edge_down(PRIMARY, REPOSITORY, max_duration=LONG))
    drill.hold("25s")
    known, point = rows(sample), backups.lsn(sample)
    drill.premise("turns were there", bool(known.sums))
    drill.hold("2s")
    drill.inject(instances_lost(PRIMARY, max_duration=LONG))
    drill.observe(until=promoted("postgres"), limit="60s")
    drill.follow("archiving-broken", "find", "check")
    wanted = {"TYPE": "lsn", "TARGET": point, "SET": begin}
    # Where there is a hole the restore fails, and everything is missing.
    followed = drill.follow("backup-damaged", "find", "clear", "restore", env=wanted, check=False)
    if followed.ran:
        missing = known.missing(rows(sample, SIDE)) if not followed.wrong else len(known.sums)
        drill.count("rows_missing", missing)
        if not followed.wrong:
            checks = {"no row of before the failover is missing": not missing}
            what = "the cluster, to just before a failover"
            record_restored(drill, what, SIDE, checks, type="lsn", target=point)
        drill.follow("backup-damaged", "find", "drop")


@experiment(
    stack="recovery",
    hypothesis="The verification of a restore finds in the newest backup every row that was acknowledged, as "
    "it was written; and when rows are silently gone, what it counts shows it.",
    runbook="restore-unverified",
    objectives=Objectives(
        rto=BRIEF, availability=GOES_ON, rows_missing=0, rows_changed=0, undetected=0, lost=0, duplicate=0
    ),
    control=(
        Control(variant="verification-skips-rows", breaks="undetected"),
        # Nothing can be restored from it: everything is missing.
        Control(variant="backup-without-wal", breaks="rows_missing", at="verify"),
    ),
    prepare=backed_up,
)
def test_restore_verified(drill: Drill) -> None:
    sample = drill.stack
    with ledger(sample) as acknowledged:
        backups.backup(sample, "incr")
        followed = drill.follow("restore-unverified", "find", "verify", check=False)
        if followed.wrong:
            drill.count("rows_missing", acknowledged[0])
            return
        if followed.ran:
            found = verification(sample)
            told = counted(found)
            drill.count("rows_missing", acknowledged[0] - told[0])
            drill.count("rows_changed", int(told[0] == acknowledged[0] and told != acknowledged))
            record_verified(drill, found, acknowledged)
        drill.inject(
            rows_deleted(PRIMARY, LEDGER, share=0.01, seed=drill.trial, database="app", max_duration=LONG)
        )
        backups.backup(sample, "incr")
        if drill.follow("restore-unverified", "find", "verify").ran:
            # Of a table that is not counted nobody could tell that rows of it are gone.
            rows_then = counted(verification(sample))[0]
            drill.count("undetected", int(not 0 < rows_then < acknowledged[0]))


@experiment(
    stack="recovery",
    hypothesis="When restores are not verified any more, somebody is told.",
    runbook="restore-unverified",
    objectives=Objectives(rto=BRIEF, availability=GOES_ON, alerts_missing=0, lost=0, duplicate=0),
    control=Control(variant="no-backup-alerts", breaks="alerts_missing"),
    expects_alert="RestoreVerificationOverdue",
)
def test_verification_overdue(drill: Drill) -> None:
    # Each is due after that; without one it is overdue after twice that and half a minute: 70 s.
    period_s = 20
    with verified_every(drill.stack, period_s):
        asleep = suspend(SIDE, process="restore-host.sh", allow_total_loss=True, max_duration=LONG)
        with drill.inject(asleep):
            drill.hold("85s")
            drill.count("alerts_missing", silent(drill.stack, "RestoreVerificationOverdue"))
        drill.follow("restore-unverified", "find", "go-on", "scheduled", env={"PERIOD_S": str(period_s)})
