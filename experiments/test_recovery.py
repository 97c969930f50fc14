"""Data is lost, by mistake or by disaster, and comes back from the backup: by the runbook's own steps."""

import pytest

from blackstart import BlastRadius, Control, Drill, Objectives, experiment, instances_lost
from fixtures.recovery import backed_up, follow, record_restored, rows_recovered

#: Of what was acknowledged before the disaster so much may be lost, where the archive is all that is left: a
#: segment is begun every 10 s, and pushed within some seconds.
ARCHIVED = "20s"
#: A restore under load on a machine that others use may slow some requests down; it must not stop any kind.
GOES_ON = {"chat": 0.9, "session": 0.9, "sql-write": 0.9}
#: Everything that was there before is there again, as it was, and the side cluster has nothing of later.
RECOVERED = Objectives(
    availability=GOES_ON, lost=0, duplicate=0, rows_missing=0, rows_changed=0, rows_unexpected=0
)


@pytest.mark.headline
@experiment(
    stack="recovery",
    hypothesis="When turns are deleted by mistake, they are recovered from the backup, to the record before "
    "the mistake, and merged back; clients go on meanwhile, and nothing that was written since is undone.",
    runbook="rows-deleted",
    objectives=RECOVERED,
    control=Control(variant="archiving-off", breaks="lost"),
    prepare=backed_up,
)
def test_rows_deleted(drill: Drill) -> None:
    rows_recovered(drill, by="time")


@experiment(
    stack="recovery",
    hypothesis="What was deleted by mistake is recovered to a position in the log just as well.",
    runbook="rows-deleted",
    objectives=RECOVERED,
    control=Control(variant="archiving-off", breaks="lost"),
    prepare=backed_up,
)
def test_rows_deleted_by_lsn(drill: Drill) -> None:
    rows_recovered(drill, by="lsn")


@experiment(
    stack="recovery",
    hypothesis="What was deleted by mistake is recovered to a point that was noted by name before.",
    runbook="rows-deleted",
    objectives=RECOVERED,
    control=Control(variant="archiving-off", breaks="lost"),
    prepare=backed_up,
)
def test_rows_deleted_by_name(drill: Drill) -> None:
    rows_recovered(drill, by="name")


@experiment(
    stack="recovery",
    hypothesis="When both Postgres nodes are gone with their disks, the service is back from the repository "
    "alone within a minute, and has lost no more than what had not been archived.",
    runbook="postgres-lost",
    objectives=Objectives(rto="60s", rpo=ARCHIVED, gives_up=["lost"], duplicate=0, split_brain=0),
    control=Control(variant="archiving-off", breaks="rpo"),
    expects_alert="PostgresNoPrimary",
    blast_radius=BlastRadius(instances=2, zones=2),
    prepare=backed_up,
)
def test_postgres_lost(drill: Drill) -> None:
    # Longer than what may be lost: more than that must be there to be lost.
    drill.hold("40s")
    drill.inject(instances_lost("postgres", allow_total_loss=True, max_duration="10m"))
    steps = ("find", "alerted", "gone", "repository", "provision", "copy", "replay", "open", "verify")
    followed = follow(drill, "postgres-lost", *steps, "standby")
    if followed.ran:
        record_restored(drill, "the Postgres cluster", "pg-1", {"a client's write is acknowledged": True})
    drill.observe(limit="60s")
