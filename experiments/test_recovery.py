"""Data is lost, by mistake or by disaster, and comes back from the backup: by the runbook's own steps."""

import pytest

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    experiment,
    instances_lost,
    page_corrupted,
    table_dropped,
)
from fixtures.chats import ask, question
from fixtures.disasters import (
    LEAKED,
    ROLE,
    answered_otherwise,
    compromised,
    made_whole,
    nearest,
    passwords_amiss,
    recent_answer,
    recovered_in_step,
    sealed,
    undamaged,
)
from fixtures.postgres import primary
from fixtures.recovery import (
    BRIEF,
    GOES_ON,
    LONG,
    OLD_S,
    PRIMARY,
    all_there,
    backed_up,
    merged_back,
    mistake,
    record_restored,
    rows,
    rows_recovered,
)
from fixtures.users import new_token, sealed_otherwise
from sut.recovery import backups
from sut.recovery.settings import REPOSITORY, SIDE

#: Of what was acknowledged before the disaster so much may be lost, where the archive is all that is left: a
#: segment is begun every 10 s, and pushed within some seconds.
ARCHIVED = "20s"
#: So turns that are older than that at the disaster must all be there again; much older ones expire.
KEPT = f"at BETWEEN now() - interval '10 min' AND now() - interval '{ARCHIVED}'"
#: Everything that was there before is there again, as it was, and the side cluster has nothing of later.
RECOVERED = Objectives(
    rto=BRIEF, availability=GOES_ON, lost=0, duplicate=0, rows_missing=0, rows_changed=0, rows_unexpected=0
)


@pytest.mark.headline
@experiment(
    stack="recovery",
    hypothesis="When turns are deleted by mistake, they are recovered from the backup, to the record before "
    "the mistake, and merged back; clients go on meanwhile, and nothing that was written since is undone.",
    runbook="rows-deleted",
    objectives=RECOVERED,
    control=(
        Control(variant="archiving-off", breaks="lost", at="archive"),
        # Every step ends well then: only who counts rows sees it.
        Control(variant="restore-ends-short", breaks="rows_missing"),
    ),
    prepare=backed_up,
)
def test_rows_deleted(drill: Drill) -> None:
    rows_recovered(drill, by="time")


@experiment(
    stack="recovery",
    hypothesis="What was deleted by mistake is recovered to a position in the log just as well.",
    runbook="rows-deleted",
    objectives=RECOVERED,
    control=Control(variant="archiving-off", breaks="lost", at="archive"),
    prepare=backed_up,
)
def test_rows_deleted_by_lsn(drill: Drill) -> None:
    rows_recovered(drill, by="lsn")


@experiment(
    stack="recovery",
    hypothesis="What was deleted by mistake is recovered to a point that was noted by name before.",
    runbook="rows-deleted",
    objectives=RECOVERED,
    control=Control(variant="archiving-off", breaks="lost", at="archive"),
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
    known = rows(drill.stack, only=KEPT)
    drill.premise("turns were there", bool(known.sums))
    drill.inject(instances_lost("postgres", allow_total_loss=True, max_duration=LONG))
    steps = ("find", "alerted", "gone", "repository", "provision", "copy", "replay", "open", "verify")
    followed = drill.follow("postgres-lost", *steps, "standby")
    if followed.ran:
        checks = all_there(known, rows(drill.stack))
        record_restored(drill, "the Postgres cluster", "pg-1", checks, type="default")
    drill.observe(limit="60s")


@experiment(
    stack="recovery",
    hypothesis="When a table is dropped, the whole cluster goes back in place to the moment before; what was "
    "acknowledged after that moment is fetched from the timeline that was left, so that nothing is lost.",
    runbook="table-dropped",
    objectives=Objectives(rto="120s", rows_missing=0, rows_changed=0, lost=0, duplicate=0, split_brain=0),
    control=Control(variant="archiving-off", breaks="lost", at="archive"),
    prepare=recovered_in_step,
)
def test_table_dropped(drill: Drill) -> None:
    sample = drill.stack
    with made_whole(sample):
        drill.hold("5s")
        before, node = rows(sample), primary(sample)
        drill.premise("turns were there", bool(before.sums))
        drill.inject(table_dropped(PRIMARY, "turns", database="app", max_duration=LONG))
        steps = ("find", "moment", "archive", "fence", "copy", "replay", "open")
        if drill.follow("table-dropped", *steps, "clear", "later", "merge", "verify", "drop").ran:
            after = rows(sample)
            missing, changed = before.missing(after), before.changed(after)
            drill.count("rows_missing", missing)
            drill.count("rows_changed", changed)
            checks = {"no turn is missing": not missing, "no turn differs": not changed}
            record_restored(drill, "the Postgres cluster, in place", node, checks, type="time")
        drill.observe(limit="60s")


@experiment(
    stack="recovery",
    hypothesis="A page that the disk gives back otherwise than it was written answers nobody: the standby, "
    "whose copy is good, takes over, the damaged node copies it, and nothing is lost.",
    runbook="page-corrupted",
    objectives=Objectives(
        rto="60s", wrong_answers=0, rows_missing=0, rows_changed=0, lost=0, duplicate=0, split_brain=0
    ),
    control=Control(variant="damaged-pages-served", breaks="wrong_answers"),
    prepare=recovered_in_step,
)
def test_page_corrupted(drill: Drill) -> None:
    sample = drill.stack
    drill.hold("15s")
    before = rows(sample)
    drill.premise("turns were there", bool(before.sums))
    with undamaged(sample, before):
        page, at = recent_answer(sample)
        bad = page_corrupted(PRIMARY, "turns", page, at, database="app", max_duration=LONG)
        drill.inject(bad)
        # Clients meet it.
        drill.hold("5s")
        drill.count("wrong_answers", answered_otherwise(sample, before))
        if drill.follow("page-corrupted", "find", "log", "standby", "switch", "copy", "verify").ran:
            after = rows(sample)
            drill.count("rows_missing", before.missing(after))
            drill.count("rows_changed", before.changed(after))
    drill.observe(limit="30s")


@experiment(
    stack="recovery",
    hypothesis="When the documents and their vectors are lost, chats go on without them and say so; restored "
    "from the backup, the same questions find the same documents as before.",
    runbook="vectors-lost",
    objectives=Objectives(
        rto=BRIEF, availability=GOES_ON, mode=["no-retrieval", "stale"], wrong_answers=0, lost=0, duplicate=0
    ),
    control=Control(variant="archiving-off", breaks="wrong_answers", at="archive"),
    prepare=backed_up,
)
def test_vector_index_lost(drill: Drill) -> None:
    sample = drill.stack
    with made_whole(sample):
        before = nearest(sample)
        drill.premise("documents were there", bool(before.sums))
        drill.inject(table_dropped(PRIMARY, "documents", database="app", max_duration=LONG))
        steps = ("find", "extent", "moment", "archive", "clear", "copy", "replay", "take-over", "verify")
        # Where it cannot be restored, every answer is another one.
        followed = drill.follow("vectors-lost", *steps, check=False)
        if followed.ran:
            after = nearest(sample)
            drill.count("wrong_answers", before.missing(after) + before.changed(after))
        if followed.ran and not followed.wrong:
            checks = {"the same documents are found": (after == before, f"{len(before.sums)} questions")}
            record_restored(drill, "table documents", SIDE, checks, type="time")
            drill.follow("vectors-lost", "find", "drop")
        drill.observe(limit="30s")


@experiment(
    stack="recovery",
    hypothesis="When an operator's password is out and was used, it opens nothing any more; the service's "
    "own password and its keys of tokens and content are replaced without an outage, and what was deleted "
    "is recovered.",
    runbook="credentials-compromised",
    objectives=Objectives(
        rto=BRIEF,
        # The load's own writer keeps the old password: a connection that it has to make anew is refused.
        availability={"chat": 0.9, "session": 0.9},
        wrong_answers=0,
        rows_missing=0,
        rows_changed=0,
        rows_unexpected=0,
        lost=0,
        duplicate=0,
    ),
    # It covers the keys of tokens: tokens by the new one are refused, and the other two are counted besides.
    control=Control(variant="no-secret-reload", breaks="wrong_answers"),
    prepare=backed_up,
)
def test_credentials_compromised(drill: Drill) -> None:
    sample = drill.stack
    with compromised(sample) as intruder:
        drill.hold(f"{OLD_S + 5}s")
        before, since = rows(sample), backups.now(sample)
        drill.inject(mistake(drill, psql=intruder))
        later, deleted = backups.now(sample), rows(sample)
        steps = ("find", "sessions", "shut-out", "rotate", "seal", "refused")
        if drill.follow("credentials-compromised", *steps, env={"ROLE": ROLE, "LEAKED": LEAKED}).ran:
            replies = [ask(sample, question(), bearer=new_token()) for _ in range(9)]
            refused = sum(reply.status != 200 for reply in replies)
            amiss = sealed_otherwise(sample, replies) + passwords_amiss(sample)
            drill.count("wrong_answers", refused + amiss)
        merged_back(drill, {"TYPE": "lsn", "SINCE": since}, before, deleted, later)
    drill.observe(limit="30s")


@experiment(
    stack="recovery",
    hypothesis="When everything is lost but the repository and the code, the service is back within two "
    "minutes, with the secrets of now, and has lost no more than what had not been archived.",
    runbook="black-start",
    objectives=Objectives(rto="120s", rpo=ARCHIVED, gives_up=["lost"], duplicate=0, split_brain=0),
    # What was sealed with the newer key cannot be read then: for such sessions the service is not back.
    control=Control(variant="stale-bundle", breaks="rto", at="verify"),
    blast_radius=BlastRadius(instances=3, zones=5),
    prepare=sealed,
)
def test_black_start(drill: Drill) -> None:
    drill.hold("30s")
    known = rows(drill.stack, only=KEPT)
    drill.premise("turns were there", bool(known.sums))
    drill.inject(instances_lost("all", spared=REPOSITORY, allow_total_loss=True, max_duration=LONG))
    steps = ("find", "dark", "repository", "secrets", "provision", "copy", "replay", "open", "verify")
    followed = drill.follow("black-start", *steps, "standby")
    if followed.ran:
        checks = all_there(known, rows(drill.stack))
        record_restored(drill, "the whole stack", primary(drill.stack), checks, type="default")
    drill.observe(limit="60s")
