"""The search tool is gone, late, or answers with something that is no answer: chats go on without it."""

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    edge_latency,
    edge_limit_data,
    experiment,
    kill,
)
from fixtures.load import MORE_CHATS
from fixtures.tool import answering, count_searches, searches

EVERY_REPLICA = BlastRadius(instances=3, zones=3)
# Per app replica: 5 failures open the breaker while one more search is under way; then one probe every 2 s
# while the fault lasts, and one more. Without a breaker each of ninety chats searches.
SEARCHES = 3 * (5 + 1 + 20 // 2 + 1)


@experiment(
    hypothesis="Without the search tool every chat is answered, and says that nothing was searched.",
    runbook="tool-unusable",
    objectives=Objectives(
        availability={"chat": 1.0}, mode=["no-tool"], declared={"chat": 0.9}, lost=0, duplicate=0
    ),
    control=Control(variant="tool-required", breaks="availability"),
)
def test_tool_killed(drill: Drill) -> None:
    with drill.inject(kill("tool-1", allow_total_loss=True)):
        drill.hold("10s")


@experiment(
    hypothesis="A tool that answers late is waited for a fifth of a second, and after five such waits it is "
    "left alone.",
    runbook="tool-unusable",
    # Of ninety chats some thirty wait. Who waited for most of the tool's second would be later than that.
    objectives=Objectives(
        availability={"chat": 1.0},
        p90={"chat": "700ms"},
        mode=["no-tool"],
        declared={"chat": 0.9},
        attempts=SEARCHES,
        lost=0,
        duplicate=0,
    ),
    control=(
        Control(variant="no-tool-breaker", breaks="attempts"),
        Control(variant="tool-required", breaks="availability"),
    ),
    load=MORE_CHATS,
    blast_radius=EVERY_REPLICA,
)
def test_tool_slow(drill: Drill) -> None:
    # Only the way back is slow: the tool itself counts who asks.
    slow = edge_latency("app", "tool-1", latency="1s", direction="downstream")
    count_searches(drill, slow, hold="20s")


@experiment(
    hypothesis="What the tool says is no part of a prompt unless it is a whole answer: chats are answered "
    "without it.",
    runbook="tool-unusable",
    objectives=Objectives(
        availability={"chat": 1.0},
        mode=["no-tool"],
        declared={"chat": 0.9},
        attempts=SEARCHES,
        lost=0,
        duplicate=0,
    ),
    control=(
        Control(variant="no-tool-breaker", breaks="attempts"),
        Control(variant="tool-required", breaks="availability"),
    ),
    load=MORE_CHATS,
    blast_radius=EVERY_REPLICA,
)
def test_tool_answers_garbled(drill: Drill) -> None:
    garbled = edge_limit_data("app", "tool-1", size=64, direction="downstream")
    count_searches(drill, garbled, hold="20s")


@experiment(
    hypothesis="A tool that answers in time, and with nonsense, is left out like one that does not answer.",
    runbook="tool-unusable",
    objectives=Objectives(
        availability={"chat": 1.0}, mode=["no-tool"], declared={"chat": 0.9}, lost=0, duplicate=0
    ),
    control=Control(variant="tool-required", breaks="availability"),
    blast_radius=EVERY_REPLICA,
)
def test_tool_answers_nonsense(drill: Drill) -> None:
    # What the tool says is its own doing. The edge is a little slow, far from too slow: it is the fault whose
    # time is measured.
    with drill.inject(edge_latency("app", "tool-1", latency="40ms", direction="downstream")):
        for nonsense in ("garbage", "shape", "large", "error"):
            before = searches(drill.stack)
            with answering(drill, nonsense):
                drill.hold("4s")
            drill.premise(f"the tool was asked while it answered {nonsense}", searches(drill.stack) > before)
