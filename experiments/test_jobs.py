"""Jobs that were accepted are done once, whatever becomes of the hints and of the workers."""

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    experiment,
    freeze,
    kill,
    llm_slow_first_token,
    partition,
    promoted,
)
from fixtures.load import FEW_OTHERS
from fixtures.queue import done, held, overdue, told_of

#: Each job takes a slot for so long: 2 slots of 2 workers do some 4 jobs a second, and are never idle.
SLOW = llm_slow_first_token("llm-1", delay="800ms", endpoint="chat")
#: Seconds after which a job is overdue: a lost hint is repeated after 5 s, a lost worker's job after 6 s.
LATE_S = 15


@experiment(
    hypothesis="When a failover of Redis loses hints that it had acknowledged, their jobs are found again in "
    "the outbox and done.",
    runbook="jobs-not-done",
    objectives=Objectives(overdue=0, availability={"job": 0.99}, lost=0, duplicate=0),
    control=Control(variant="no-outbox-relay", breaks="overdue"),
    load={"job": 6, **FEW_OTHERS},
    blast_radius=BlastRadius(zones=2, faults=3),
)
def test_hints_lost(drill: Drill) -> None:
    slow = drill.inject(SLOW)
    drill.hold("4s")
    with drill.inject(partition("redis.replica", peers="redis.primary")):
        drill.hold("4s")
        # What the replica was never told of dies with the primary, as far as no worker has taken it.
        lost = told_of(drill.stack, within_s=3)
        with drill.inject(kill("redis.primary")):
            slow.undo()
            drill.observe(until=promoted("redis"), limit="20s")
    drill.hold("25s")
    drill.count("overdue", overdue(drill.stack, LATE_S))
    drill.premise("hints were lost", lost > 0)


@experiment(
    hypothesis="The jobs of a worker that dies are taken over and done while it is gone.",
    runbook="jobs-not-done",
    objectives=Objectives(overdue=0, availability={"job": 0.99}, lost=0, duplicate=0),
    control=Control(variant="no-reclaim", breaks="overdue"),
    load={"job": 4, **FEW_OTHERS},
)
def test_worker_killed(drill: Drill) -> None:
    with drill.inject(SLOW):
        drill.hold("3s")
        with drill.inject(kill("worker-1")):
            jobs = held(drill.stack, "worker-1")
            # A lease and a heartbeat, and the work itself: afterwards the worker could do its own again.
            drill.hold("12s")
            left = len(jobs) - done(drill.stack, jobs)
    drill.hold("20s")
    drill.count("overdue", left + overdue(drill.stack, LATE_S))
    drill.premise("the worker had jobs when it died", bool(jobs))


@experiment(
    hypothesis="A worker that freezes loses its jobs to another, and when it goes on stores nothing of them.",
    runbook="jobs-not-done",
    objectives=Objectives(overdue=0, availability={"job": 0.99}, lost=0, duplicate=0),
    control=Control(variant="no-fencing", breaks="duplicate"),
    load={"job": 4, **FEW_OTHERS},
)
def test_worker_frozen(drill: Drill) -> None:
    with drill.inject(SLOW):
        drill.hold("3s")
        with drill.inject(freeze("worker-1")):
            jobs = held(drill.stack, "worker-1")
            # Less than a job may take in all, 20 s: the frozen worker still means to finish them.
            drill.hold("12s")
            others = done(drill.stack, jobs)
        drill.hold("5s")
    drill.hold("20s")
    drill.count("overdue", overdue(drill.stack, LATE_S))
    drill.premise("another worker had done its jobs when it went on", others > 0)
