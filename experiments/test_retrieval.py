"""Documents are searched at the standby; without it the primary knows them, too."""

from blackstart import BlastRadius, Control, Drill, Objectives, edge_down, experiment
from fixtures.chats import ask, question

#: At which port the database proxy leads to the standby.
STANDBY = 5001
#: Of nine searches so many may be late on a busy machine; where nobody asks the primary, all are in vain.
LATE = 1


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
        replies = [ask(drill.stack, question()) for _ in range(9)]
        drill.hold("3s")
    without = sum(reply.status != 200 or "no-retrieval" in reply.degraded for reply in replies)
    drill.count("wrong_answers", without)
