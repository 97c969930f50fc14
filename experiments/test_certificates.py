"""Certificates are replaced under load, or expire: the first is noticed by nobody, the second by who must."""

from contextlib import ExitStack

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    edge_reset,
    experiment,
    restart,
    rolling_restart,
)
from fixtures.certificates import EXPIRED, another_certificate, laid_ready, shown_now, trusted_by_clients
from fixtures.chats import ask, question
from fixtures.queue import works
from sut.certificates import SERVERS
from sut.settings import FRONTS

#: A look at every certificate each 5 s, a scrape each 5 s, an evaluation: 11 s at the longest.
SEEN = "30s"
MODES = ["no-cache", "local-rate-limit"]


@experiment(
    hypothesis="When every certificate is replaced under load, no request fails, and whoever connects anew "
    "is let in.",
    runbook="certificate-expired",
    # Nobody should notice; of hundreds of raw writes some may meet a machine that is busy.
    objectives=Objectives(
        availability={"chat": 1.0, "session": 1.0, "sql-write": 0.98},
        wrong_answers=0,
        lost=0,
        duplicate=0,
        split_brain=0,
    ),
    control=Control(variant="no-certificate-reload", breaks="wrong_answers"),
    blast_radius=BlastRadius(instances=2, zones=2, faults=len(SERVERS) + 1),
    prepare=laid_ready(*SERVERS),
)
def test_rotated(drill: Drill) -> None:
    before = {name: shown_now(drill.stack, name) for name in SERVERS}
    with ExitStack() as replaced:
        for name in SERVERS:
            replaced.enter_context(drill.inject(another_certificate(name)))
        drill.hold("5s")
        same = [name for name in SERVERS if shown_now(drill.stack, name) in (b"", before[name])]
        # Workers that come back connect to Postgres and Redis anew, clients of their own to the fronts.
        with drill.inject(rolling_restart("worker")):
            replies = [ask(drill.stack, question(), front=front) for front in FRONTS for _ in range(3)]
            worked = works(drill.stack)
    # A server that does not take its certificate would show the old one until it expires.
    drill.count("wrong_answers", sum(reply.status != 200 for reply in replies) + len(same) + (not worked))


@experiment(
    hypothesis="When a front's certificate has expired, its clients refuse it and go to the other front: no "
    "request fails, and somebody is paged.",
    runbook="certificate-expired",
    objectives=Objectives(availability={"chat": 1.0, "session": 1.0}, lost=0, duplicate=0),
    control=Control(variant="one-front", breaks="availability"),
    expects_alert="CertificateExpired",
    prepare=laid_ready("front-1", valid=EXPIRED),
)
def test_expired_at_a_front(drill: Drill) -> None:
    with drill.inject(another_certificate("front-1")):
        # Connections that are open are not asked again: a restart makes them anew.
        with drill.inject(restart("front-1")):
            drill.hold("2s")
        refused = not trusted_by_clients(drill.stack, "front-1")
        drill.hold(SEEN)
    drill.premise("clients refuse the certificate", refused)


@experiment(
    hypothesis="When the certificate of the Redis primary has expired, whoever connects anew leaves it "
    "alone: chats go on without the cache and say so, and somebody is paged.",
    runbook="certificate-expired",
    objectives=Objectives(
        availability={"chat": 1.0, "session": 1.0}, mode=MODES, declared={"chat": 0.6}, lost=0, duplicate=0
    ),
    control=Control(variant="no-certificate-check", breaks="declared"),
    expects_alert="CertificateExpired",
    blast_radius=BlastRadius(instances=3, zones=3),
    prepare=laid_ready("redis", valid=EXPIRED),
)
def test_expired_at_redis(drill: Drill) -> None:
    with drill.inject(another_certificate("redis.primary")):
        with drill.inject(edge_reset("app", "redis.primary")):
            drill.hold("1s")
        drill.hold(SEEN)


@experiment(
    hypothesis="When the certificate of the Postgres primary has expired, the service lives on its open "
    "connections, and somebody is paged before they are gone.",
    runbook="certificate-expired",
    # A pool that would grow cannot: a turn may have to wait for one of its connections.
    objectives=Objectives(
        availability={"chat": 0.9, "session": 0.95, "sql-write": 0.95}, lost=0, duplicate=0, split_brain=0
    ),
    control=Control(variant="no-pooling", breaks="availability"),
    expects_alert="CertificateExpired",
    prepare=laid_ready("postgres", valid=EXPIRED),
)
def test_expired_at_postgres(drill: Drill) -> None:
    with drill.inject(another_certificate("postgres.primary")):
        drill.hold(SEEN)
