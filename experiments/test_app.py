"""Replicas of the app die, freeze, starve, or are restarted; a zone goes; secrets change."""

import time

import pytest

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    cpu_throttle,
    dns_failure,
    edge_reset,
    edge_timeout,
    experiment,
    fds_exhausted,
    freeze,
    kill,
    llm_slow_first_token,
    memory_hog,
    rolling_restart,
    zone_lost,
)
from fixtures.chats import ask, question
from fixtures.front import evenly_served
from fixtures.postgres import has_stored
from fixtures.users import rotated

TRIES = 4


@pytest.mark.headline
@experiment(
    hypothesis="When an app replica dies with answers in it that nobody received, clients notice nothing, "
    "and no turn is executed twice.",
    runbook="app-replica-down",
    objectives=Objectives(availability={"chat": 1.0, "session": 1.0}, interrupted=0, lost=0, duplicate=0),
    control=(
        Control(variant="no-redispatch", breaks="availability"),
        Control(variant="key-ignored", breaks="duplicate"),
    ),
    blast_radius=BlastRadius(instances=2, zones=2),
    load={"chat": 4.0, "session": 1.0, "sql-write": 15.0},
)
def test_replica_killed(drill: Drill) -> None:
    # Half a second passes until the fronts take app-1 out. If it stored no turn in that, it gets another go.
    for _ in range(TRIES):
        evenly_served(drill.stack, limit="15s")
        with drill.inject(edge_timeout("front", "app-1", direction="downstream")):
            held_back = has_stored(drill.stack, "app-1", since=time.monotonic(), limit="1s")
            if held_back:
                drill.inject(kill("app-1"))
                drill.hold("500ms")
                break
    drill.observe(limit="20s")
    drill.premise("app-1 had stored turns whose answers nobody received", held_back)


@experiment(
    hypothesis="A replica that freezes gets no more requests once its checks fail, and few chats wait in "
    "vain.",
    runbook="app-replica-down",
    # Two checks of a second each find it out; of 20 s that costs a third of the chats of some 4 s.
    objectives=Objectives(availability={"chat": 0.79, "session": 0.79}, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
)
def test_replica_frozen(drill: Drill) -> None:
    with drill.inject(freeze("app-1")):
        drill.hold("20s")


@experiment(
    hypothesis="One replica of three carries the load, and clients hardly notice that two are gone.",
    runbook="app-replica-down",
    objectives=Objectives(availability={"chat": 0.95, "session": 0.95}, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_two_replicas_killed(drill: Drill) -> None:
    with drill.inject(kill("app-1")), drill.inject(kill("app-2")):
        drill.hold("15s")


@experiment(
    hypothesis="Replicas that are restarted one by one are drained first: no request fails.",
    runbook="app-replica-down",
    objectives=Objectives(availability={"chat": 1.0, "session": 1.0}, interrupted=0, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
    blast_radius=BlastRadius(instances=3, zones=3),
)
def test_rolling_restart(drill: Drill) -> None:
    drill.inject(rolling_restart("app"))
    drill.observe(limit="20s")


@experiment(
    hypothesis="A replica that runs out of memory is killed by the kernel, and clients hardly notice.",
    runbook="app-replica-starved",
    objectives=Objectives(availability={"chat": 0.9, "session": 0.9}, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
)
def test_out_of_memory(drill: Drill) -> None:
    with drill.inject(memory_hog("app-1", victim="python")):
        drill.hold("12s")


@experiment(
    hypothesis="A replica that can open nothing more fails its checks, and the others answer.",
    runbook="app-replica-starved",
    objectives=Objectives(availability={"chat": 0.85, "session": 0.85}, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
    blast_radius=BlastRadius(instances=2, zones=2),
)
def test_out_of_descriptors(drill: Drill) -> None:
    # On the connections that it has the front would never notice: it has to make new ones.
    with drill.inject(edge_reset("front", "app-1")):
        full = drill.inject(fds_exhausted("app-1", process="python"))
    drill.hold("15s")
    full.undo()


@experiment(
    hypothesis="A replica that gets hardly any processor time fails its checks, and the others answer.",
    runbook="app-replica-starved",
    objectives=Objectives(availability={"chat": 0.8, "session": 0.8}, lost=0, duplicate=0),
    control=Control(variant="no-redispatch", breaks="availability"),
)
def test_starved_of_cpu(drill: Drill) -> None:
    with drill.inject(cpu_throttle("app-1", cpus=0.02)):
        drill.hold("25s")


@experiment(
    hypothesis="A replica that can look no name up lives on the connections that it has.",
    runbook="app-replica-starved",
    objectives=Objectives(availability={"chat": 0.9, "session": 1.0}, lost=0, duplicate=0),
    control=Control(variant="no-keep-alive", breaks="availability"),
)
def test_dns_fails(drill: Drill) -> None:
    with drill.inject(dns_failure("app-1")):
        drill.hold("15s")


@experiment(
    hypothesis="When a zone is lost, its replica, its database and its cache are replaced by those of the "
    "others, and nothing acknowledged is lost.",
    runbook="zone-lost",
    # Two checks find the replica out; a database primary in the zone has a lease that must run out.
    objectives=Objectives(rto="75s", availability={"session": 0.75}, lost=0, duplicate=0, split_brain=0),
    control=Control(variant="no-redispatch", breaks="availability"),
)
def test_zone_lost(drill: Drill) -> None:
    with drill.inject(zone_lost("b")):
        drill.hold("10s")
        drill.observe(limit="60s")


#: Six turns of 1.1 s at each of the two replicas that are left; chats a second.
LEFT = 2 * 6 / 1.1


@experiment(
    hypothesis="A zone that is lost under three times the load takes its share of the answers along, and not "
    "more.",
    runbook="zone-lost",
    objectives=Objectives(goodput={"chat": 0.6 * LEFT}, p99={"chat": "4.5s"}, rto="35s", lost=0, duplicate=0),
    control=Control(variant="no-shedding", breaks="goodput"),
    blast_radius=BlastRadius(instances=2, zones=3),
    load={"session": 2, "sql-write": 20},
)
def test_zone_lost_under_overload(drill: Drill) -> None:
    slow = llm_slow_first_token("llm", delay="900ms", endpoint="chat")
    with drill.inject(slow), drill.peak(chat=3 * 1.5 * LEFT):
        drill.hold("3s")
        # Not the zone of the front, of which there is one.
        with drill.inject(zone_lost("c")):
            drill.hold("12s")


@experiment(
    hypothesis="Secrets that are replaced under load are in force at once and without a failure: new tokens "
    "are accepted, and connections that are lost are made anew with the new password.",
    runbook="secrets-rotated",
    objectives=Objectives(wrong_answers=0, rto="10s", lost=0, duplicate=0),
    control=Control(variant="no-secret-reload", breaks="wrong_answers"),
)
def test_secrets_rotated(drill: Drill) -> None:
    with rotated(drill.stack) as bearer:
        drill.hold("3s")
        with drill.inject(edge_reset("app-1", "pgproxy-1")):
            drill.hold("1s")
        drill.observe(limit="10s")
        replies = [ask(drill.stack, question(), bearer=bearer) for _ in range(9)]
        drill.count("wrong_answers", sum(reply.status != 200 for reply in replies))
