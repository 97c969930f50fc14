"""Weakened variants of the sample stack, for negative controls."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from blackstart.faults import edge_down
from blackstart.model.errors import SteadyStateError
from blackstart.model.stack import Variant
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reconfigure
from sut import conditions, patroni
from sut.settings import APPS, ETCD, FRONTS, POSTGRES, REDIS, REDIS_MASTER, SENTINELS, WORKERS

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

_LIMIT = "30s"
#: Files that tell disk-guard.sh and use-certificate.sh of sut/postgres/ not to do what they are there for.
_NO_DISK_GUARD = "/var/lib/postgresql/no-disk-guard"
_NO_RELOAD = "/var/lib/postgresql/no-certificate-reload"
_STRONG = {"synchronous_mode": True, "maximum_lag_on_failover": 1 << 20}
_WEAK = {"synchronous_mode": False, "maximum_lag_on_failover": 1 << 40}
_STRICT = {"synchronous_mode": True, "synchronous_mode_strict": True}
_LENIENT = {"synchronous_mode": True, "synchronous_mode_strict": False}


def _weaken(running: RunningStack) -> None:
    _configure(running, _WEAK)


def _strengthen(running: RunningStack) -> None:
    _configure(running, _STRONG)


def _configure(running: RunningStack, settings: dict[str, Any]) -> None:
    """Change Patroni's dynamic configuration and return once Postgres itself works that way."""

    def in_force() -> str | None:
        if (wrong := conditions.postgres(running)) is not None:
            return wrong
        primary = running.resolve("postgres.primary")[0].name
        shown = conditions.ask_postgres(running, primary, "SHOW synchronous_standby_names")
        return (
            None if bool(shown) is settings["synchronous_mode"] else f"synchronous_standby_names = {shown!r}"
        )

    patroni.configure(running, settings)
    wait_until(f"Patroni with {settings}", in_force, limit=_LIMIT, every=0.2, error=SteadyStateError)


def _failsafe(on: bool, running: RunningStack) -> None:
    """Switch Patroni's failsafe mode, and return once every node goes by it."""

    def adopted() -> str | None:
        for name in POSTGRES:
            # What a node has read from etcd last: Patroni keeps it beside the data.
            kept = running.exec(name, ["cat", "/var/lib/postgresql/17/main/patroni.dynamic.json"])
            if kept.code != 0 or json.loads(kept.output).get("failsafe_mode") is not on:
                return f"{name} has another configuration yet"
        return None

    patroni.configure(running, {"failsafe_mode": on})
    wait_until(f"failsafe_mode = {on}", adopted, limit=_LIMIT, every=0.2, error=SteadyStateError)


def _without_spare(running: RunningStack) -> None:
    """One etcd member that does not lead is down: without another there is no quorum."""
    leader = conditions.etcd_leader(running)
    running.platform.kill(running.container(next(name for name in ETCD if name != leader)))


def _with_spare(running: RunningStack) -> None:
    for name in ETCD:
        running.platform.start(running.container(name))

    def led() -> str | None:
        return None if conditions.etcd_leader(running) else "no etcd member knows a leader"

    wait_until("etcd's leader", led, limit=_LIMIT, every=0.2, error=SteadyStateError)


def _without(protection: str, *instances: str) -> dict[str, Any]:
    """`apply` and `revert` that start the instances without a protection, and as declared again."""
    return {
        "apply": lambda running: reconfigure(running, {name: {"WITHOUT": protection} for name in instances}),
        "revert": lambda running: reconfigure(running, {name: {} for name in instances}),
    }


def _file(path: str, there: bool, running: RunningStack) -> None:
    """Have each Postgres node know an empty file of that path, or not."""
    for name in POSTGRES:
        done = running.exec(name, ["touch", path] if there else ["rm", "-f", path])
        if done.code != 0:
            raise SteadyStateError(f"{name}: {path}: {done.output.strip()}")


def _proxy_without_role(running: RunningStack) -> None:
    """The proxy's first server is the primary of now: without that no load would be well to begin with."""
    roles = running.role_map("postgres")
    backends = sorted(POSTGRES, key=lambda name: roles.get(name) != "primary")
    reconfigure(running, {"pgproxy-1": {"WITHOUT": "role", "BACKENDS": ",".join(backends)}})


def _redis_setting(setting: str, value: str, running: RunningStack) -> None:
    for name in REDIS:
        with conditions.connect_redis(running, name, "redis") as client:
            client.config_set(setting, value)
            client.config_rewrite()


def _sentinel_quorum(votes: int, running: RunningStack) -> None:
    """So many Sentinels must hold the primary to be down, and vote for the one that leads the failover."""
    for name in SENTINELS:
        with conditions.connect_redis(running, name, "sentinel") as client:
            client.sentinel_set(REDIS_MASTER, "quorum", votes)


VARIANTS = (
    Variant(
        "async-replication",
        "asynchronous replication, a standby of any age may be promoted, and the replication link is cut",
        apply=_weaken,
        revert=_strengthen,
        faults=(edge_down("postgres.replica", "postgres.primary", port=5432),),
        lead="2s",
    ),
    Variant(
        "strict-sync",
        "without a standby nothing is acknowledged at all",
        apply=partial(_configure, settings=_STRICT),
        revert=partial(_configure, settings=_LENIENT),
    ),
    Variant(
        "no-disk-guard",
        "nobody looks how full the disks of Postgres are",
        apply=partial(_file, _NO_DISK_GUARD, True),
        revert=partial(_file, _NO_DISK_GUARD, False),
    ),
    Variant(
        "tcp-check",
        "the database proxy asks whether the first Postgres accepts TCP, not whether it is the primary",
        apply=_proxy_without_role,
        revert=lambda running: reconfigure(running, {"pgproxy-1": {}}),
        steady=False,
    ),
    Variant("no-cache-fallback", "errors of the cache are not caught", **_without("cache-fallback", *APPS)),
    Variant("no-cache-timeout", "the cache is waited for for a minute", **_without("cache-timeout", *APPS)),
    Variant(
        "no-throttle-check",
        "no replica minds that it is denied the processor",
        **_without("throttle-check", *APPS),
    ),
    Variant("no-clock-check", "no replica compares its clock", **_without("clock-check", *APPS)),
    Variant("no-breakers", "no breaker ever opens", **_without("breakers", *APPS)),
    Variant("crowded-probes", "a half-open breaker lets every call through", **_without("one-probe", *APPS)),
    Variant("no-tool-breaker", "the tool's breaker never opens", **_without("tool-breaker", *APPS)),
    Variant("tool-required", "errors of the search tool are not caught", **_without("tool-fallback", *APPS)),
    Variant(
        "no-retrieval-fallback",
        "documents are asked of the standby alone",
        **_without("retrieval-fallback", *APPS),
    ),
    Variant("no-staleness", "what a late standby says is not declared", **_without("staleness", *APPS)),
    Variant("no-embedding-check", "vectors of any space are used", **_without("embedding-space", *APPS)),
    Variant(
        "no-stale-answers",
        "without a model no earlier answer is given",
        **_without("stale-answers", *APPS),
    ),
    Variant("no-read-only", "the standby serves no sessions", **_without("read-only", *APPS)),
    Variant(
        "no-certificate-check",
        "no certificate of Postgres or Redis is verified: one that has expired, or is another's, is taken",
        **_without("certificate-check", *APPS, *WORKERS),
    ),
    Variant(
        "no-certificate-reload",
        "Postgres goes on showing the certificate that it was started with",
        apply=partial(_file, _NO_RELOAD, True),
        revert=partial(_file, _NO_RELOAD, False),
    ),
    Variant(
        "no-secret-reload",
        "secrets are read once: what is rotated is not noticed",
        **_without("secret-reload", *APPS, *WORKERS),
    ),
    Variant("key-ignored", "the idempotency key is ignored", **_without("idempotency", *APPS)),
    Variant("no-rate-limit", "no user is ever told to wait", **_without("rate-limit", *APPS)),
    Variant("no-shedding", "every turn is taken on, however many wait", **_without("shedding", *APPS)),
    Variant("no-bulkhead", "a slow dependency may hold every turn", **_without("bulkhead", *APPS)),
    Variant("no-retry-budget", "providers are asked again without bounds", **_without("retry-budget", *APPS)),
    Variant(
        "no-redispatch",
        "the fronts neither check the app replicas nor try another",
        **_without("redispatch", *FRONTS),
        steady=False,
    ),
    Variant(
        "one-front",
        "only the first front listens to clients, as if there were no other",
        **_without("clients", *FRONTS[1:]),
        steady=False,
    ),
    Variant(
        "no-persistence",
        "Redis keeps nothing on disk: a primary that is back at once comes back empty",
        apply=partial(_redis_setting, "appendonly", "no"),
        revert=partial(_redis_setting, "appendonly", "yes"),
    ),
    Variant(
        "evictable-stream",
        "Redis may evict any key when its memory is full, the job stream too",
        apply=partial(_redis_setting, "maxmemory-policy", "allkeys-lru"),
        revert=partial(_redis_setting, "maxmemory-policy", "volatile-lru"),
    ),
    Variant(
        "no-outbox-relay",
        "a job is published once: if its hint is lost, nobody tells the workers again",
        **_without("outbox-relay", *WORKERS),
    ),
    Variant(
        "no-reclaim",
        "the jobs of a worker that is gone are not taken over",
        **_without("reclaim", *WORKERS),
    ),
    Variant(
        "no-fencing",
        "a worker stores its result whether or not it still holds the job",
        **_without("fencing", *WORKERS),
    ),
    Variant("no-model-fallback", "no provider but the primary is asked", **_without("model-fallback", *APPS)),
    Variant("no-answer-check", "whatever a model says is an answer", **_without("answer-check", *APPS)),
    Variant(
        "refusals-shopped",
        "what one provider's filter or limit refuses is asked of the other",
        **_without("final-refusals", *APPS),
    ),
    Variant(
        "no-model-check",
        "nobody looks which model it was that answered",
        **_without("model-echo", *APPS),
    ),
    Variant("declined-cached", "that a model declined is kept as its answer", **_without("declined", *APPS)),
    Variant(
        "no-stream-fallback",
        "once a token is given out, no other model is asked",
        **_without("stream-fallback", *APPS),
    ),
    Variant(
        "no-stream-reset",
        "nobody is told that a stream begins anew",
        **_without("stream-reset", *APPS),
    ),
    Variant("no-session-budget", "a conversation may cost what it likes", **_without("budget", *APPS)),
    Variant(
        "retrieval-required",
        "errors of the search for documents are not caught",
        **_without("retrieval-optional", *APPS),
    ),
    Variant(
        "no-keep-alive",
        "the app connects anew for every call of a model",
        **_without("keep-alive", *APPS),
    ),
    Variant(
        "no-failsafe",
        "a primary that cannot renew its lease steps down, whatever its standby says",
        apply=partial(_failsafe, False),
        revert=partial(_failsafe, True),
    ),
    Variant(
        "etcd-without-spare",
        "one of three etcd members is down",
        apply=_without_spare,
        revert=_with_spare,
        steady=False,
    ),
    Variant(
        "no-pooling",
        "a connection to the database is made for each use",
        **_without("pooling", *APPS),
    ),
    Variant(
        "no-pool-check",
        "a pooled connection is given out as it is, and readiness asks the server nothing on it",
        **_without("pool-check,clock-check", *APPS),
    ),
    Variant(
        "no-stream-end",
        "a stream whose turn fails breaks off without a word",
        **_without("stream-end", *APPS),
    ),
    Variant(
        "no-min-replicas",
        "a Redis primary takes writes whether or not a replica has them",
        apply=partial(_redis_setting, "min-replicas-to-write", "0"),
        revert=partial(_redis_setting, "min-replicas-to-write", "1"),
    ),
    Variant(
        "sentinels-unanimous",
        "all three Sentinels must agree, or nobody is promoted",
        apply=partial(_sentinel_quorum, len(SENTINELS)),
        revert=partial(_sentinel_quorum, 2),
    ),
    Variant(
        "no-single-flight",
        "whoever finds nothing in the cache asks a model",
        **_without("single-flight", *APPS),
    ),
)
