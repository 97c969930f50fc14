"""Documents are searched at the standby, else at the primary; where neither finds any, answers say so."""

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    edge_down,
    experiment,
    replay_paused,
    table_locked,
)
from fixtures.chats import ask, question, teach
from fixtures.postgres import standbys_with

#: At which port the database proxy leads to the standby.
STANDBY = 5001
#: Of eighteen searches so many may be late on a busy machine; where one replica of the three does not ask the
#: primary, six are in vain.
LATE = 3
#: Of eighteen searches so many may be too late for the standby on a busy machine: the primary is asked then,
#: and there is nothing to declare. Where one replica does not look how late it is, six declare nothing.
BY_THE_PRIMARY = 3


@experiment(
    hypothesis="When the standby cannot be reached, documents are searched at the primary, and chats lack "
    "nothing.",
    runbook="retrieval-degraded",
    objectives=Objectives(
        availability={"chat": 1.0, "session": 1.0}, wrong_answers=LATE, lost=0, duplicate=0
    ),
    control=Control(variant="no-retrieval-fallback", breaks="wrong_answers"),
    blast_radius=BlastRadius(instances=3, zones=3),
)
def test_standby_unreachable(drill: Drill) -> None:
    with drill.inject(edge_down("app", "pgproxy-1", port=STANDBY)):
        drill.hold("5s")
        replies = [ask(drill.stack, question()) for _ in range(18)]
        drill.hold("3s")
    without = sum(reply.status != 200 or "no-retrieval" in reply.degraded for reply in replies)
    drill.count("wrong_answers", without)


@experiment(
    hypothesis="While the standby does not show a new document yet, answers from its documents say that "
    "these may be outdated.",
    runbook="postgres-standby-late",
    objectives=Objectives(
        availability={"chat": 1.0, "session": 1.0},
        mode=["stale", "no-retrieval"],
        wrong_answers=BY_THE_PRIMARY,
        lost=0,
        duplicate=0,
    ),
    control=Control(variant="no-staleness", breaks="wrong_answers"),
)
def test_standby_lacks_a_document(drill: Drill) -> None:
    with drill.inject(replay_paused("postgres.replica")):
        document = teach(drill.stack)
        # Late is what lacks something for 3 s, which is noted twice a second.
        drill.hold("6s")
        replies = [ask(drill.stack, question()) for _ in range(18)]
        shown = standbys_with(drill.stack, document)
    searched = [r for r in replies if r.status == 200 and "no-retrieval" not in r.degraded]
    drill.count("wrong_answers", sum("stale" not in reply.degraded for reply in searched))
    drill.premise("the standby lacked the document", shown == 0)
    # Six of 18 are a replica's: of so many searched ones it answered more than the bound lets pass.
    drill.premise("answers were given from documents", len(searched) > 14)


@experiment(
    hypothesis="While a migration holds the documents' table, which neither standby nor primary can search "
    "then, chats are answered without documents and say so, and conversations are stored and read as ever.",
    runbook="retrieval-degraded",
    objectives=Objectives(
        availability={"chat": 1.0, "session": 1.0},
        mode=["no-retrieval"],
        declared={"chat": 0.9},
        lost=0,
        duplicate=0,
    ),
    control=Control(variant="retrieval-required", breaks="availability"),
)
def test_documents_locked(drill: Drill) -> None:
    with drill.inject(table_locked("postgres.primary", "documents", database="app")):
        drill.hold("12s")
