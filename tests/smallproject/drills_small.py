"""Drills of the small project; the file's name keeps them out of the ordinary collection."""

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    Schedule,
    edge_down,
    edge_latency,
    experiment,
    freeze,
    kill,
)
from blackstart.schedule import inject, parallel, sequence, swizzle, undo, wait

FORGETS = Control(variant="no-persistence", breaks="lost")


@experiment(
    hypothesis="When the store is killed and started again, no acknowledged write is lost.",
    runbook="store-down",
    objectives=Objectives(rto="20s", lost=0),
    control=FORGETS,
)
def test_store_killed(drill: Drill) -> None:
    drill.inject(kill("store-1", allow_total_loss=True))
    drill.observe(limit="1s")


@experiment(
    hypothesis="A store that is frozen for a second is not noticed at all (which is false).",
    runbook="store-down",
    objectives=Objectives(rto="1ms", lost=0),
    control=FORGETS,
)
def test_store_frozen(drill: Drill) -> None:
    with drill.inject(freeze("store-1", allow_total_loss=True)):
        drill.observe(limit="2s")


@experiment(
    hypothesis="Held in force long enough to be interrupted.",
    runbook="store-down",
    objectives=Objectives(lost=0),
    control=FORGETS,
)
def test_store_held(drill: Drill) -> None:
    drill.inject(freeze("store-1", allow_total_loss=True))
    drill.observe(limit="60s")


@experiment(
    hypothesis="Held in force for a few seconds, in which the engine may go away.",
    runbook="store-down",
    objectives=Objectives(lost=0),
    control=FORGETS,
)
def test_store_held_briefly(drill: Drill) -> None:
    drill.inject(freeze("store-1", allow_total_loss=True))
    drill.observe(limit="3s")


@experiment(
    hypothesis="A drill that forgets to inject proves nothing.",
    runbook="store-down",
    objectives=Objectives(rto="20s", lost=0),
    control=FORGETS,
)
def test_store_spared(drill: Drill) -> None:
    drill.observe(limit="1s")


CUT = edge_down("web-2", "store-1")
SLOW = edge_latency("web-2", "store-1", latency="300ms")
#: Faults of which each shows in a way of its own; the seed is such that the swizzle's orders differ.
PLAYED = Schedule(
    (
        sequence(inject(CUT, "cut"), wait("2s"), undo("cut"), wait("2s", jitter="1s")),
        parallel(
            sequence(inject(kill("web-1"), "dead"), wait("4s"), undo("dead")),
            sequence(wait("1s"), inject(SLOW, "slow"), wait("4s"), undo("slow")),
        ),
        wait("2s"),
        swizzle({"frozen": freeze("web-1"), "cut again": CUT}, gap="2s", jitter="500ms"),
        wait("2s"),
    ),
    seed=2,
)


@experiment(
    hypothesis="Faults that come and go by a schedule lose no acknowledged write.",
    runbook="store-down",
    objectives=Objectives(lost=0),
    control=FORGETS,
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_schedule_played(drill: Drill) -> None:
    drill.play(PLAYED)
    drill.observe(limit="1s")


@experiment(
    hypothesis="On the stack that has a third web instance, its loss and the store's lose no write.",
    runbook="store-down",
    objectives=Objectives(lost=0),
    control=FORGETS,
    stack="wider",
)
def test_third_web_killed(drill: Drill) -> None:
    with drill.inject(kill("web-3")):
        drill.hold("1s")
    drill.inject(kill("store-1", allow_total_loss=True))
    drill.observe(limit="1s")


@experiment(
    hypothesis="Of a stack that does not start nothing is known.",
    runbook="store-down",
    objectives=Objectives(lost=0),
    control=FORGETS,
    stack="vast",
)
def test_store_of_vast_killed(drill: Drill) -> None:
    drill.inject(kill("store-1", allow_total_loss=True))
    drill.observe(limit="1s")
