"""The sample stack: a LangGraph service on Postgres and Redis, as an SRE who runs one would declare it."""

from __future__ import annotations

from pathlib import Path

from blackstart.model.stack import Image, Instance, Stack
from blackstart.observe import (
    AlertSource,
    BreakerSource,
    ContainerSource,
    HAProxySource,
    PatroniRoles,
    PatroniSource,
    SentinelRoles,
    SentinelSource,
)
from blackstart.stack.conditions import HttpReady, Named, Speaks
from sut import certificates, conditions
from sut.configuration import configuration
from sut.load import load, reset
from sut.settings import (
    APP_PASSWORD,
    APPS,
    CHEAP_MODEL,
    CONTENT_KEY,
    ETCD,
    FRONTS,
    JWT_SECRET,
    LLMS,
    POSTGRES,
    POSTGRES_DISK,
    POSTGRES_PASSWORD,
    PROBERS,
    REDIS,
    REDIS_MASTER,
    REPLICATION_PASSWORD,
    SECRETS,
    SECRETS_DIR,
    SENTINELS,
    TOOLS,
    USER_BURST,
    USER_RATE,
    WORKERS,
    ZONES,
)
from sut.variants import VARIANTS

_HERE = Path(__file__).parent
_ETCD = Image("etcd", _HERE / "etcd")
_POSTGRES = Image("postgres", _HERE / "postgres")
_HAPROXY = Image("haproxy", _HERE / "haproxy")
_REDIS = Image("redis", _HERE / "redis")
_LLM = Image("llm", _HERE / "llm")
_TOOL = Image("tool", _HERE / "tool")
_APP = Image("app", _HERE / "app")
_PROMETHEUS = Image("prometheus", _HERE / "prometheus")

_SENTINEL_LIST = ",".join(f"{s}:26379" for s in SENTINELS)


def _others(name: str, group: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(n for n in group if n != name)


def _etcd(name: str, zone: str) -> Instance:
    return Instance(
        name,
        "etcd",
        _ETCD,
        {"client": 2379, "peer": 2380},
        zone,
        env={"ETCD_NAME": name, "ETCD_CLUSTER": ",".join(f"{e}=http://{e}:2380" for e in ETCD)},
        calls=_others(name, ETCD),
        publish=("client",),
        ready=HttpReady("client", "/health"),
        memory="256m",
    )


def _postgres(name: str, zone: str) -> Instance:
    return Instance(
        name,
        "postgres",
        _POSTGRES,
        {"postgres": 5432, "patroni": 8008},
        zone,
        env={
            "PATRONI_NAME": name,
            "ETCD_HOSTS": ",".join(f"{e}:2379" for e in ETCD),
            "POSTGRES_PASSWORD": POSTGRES_PASSWORD,
            "REPLICATION_PASSWORD": REPLICATION_PASSWORD,
            "APP_PASSWORD": APP_PASSWORD,
        },
        calls=(*ETCD, *_others(name, POSTGRES)),
        publish=("patroni", "postgres"),
        plays=("postgres",),
        ready=HttpReady("patroni", "/readiness"),
        # What is on the disk is memory of the container's.
        memory="1792m",
        disks={POSTGRES_DISK: "1g"},
    )


def _haproxy(
    name: str,
    zone: str,
    service: str,
    role: str,
    ports: dict[str, int],
    backends: tuple[str, ...],
    entry: str,
) -> Instance:
    return Instance(
        name,
        service,
        _HAPROXY,
        {**ports, "stats": 8404},
        zone,
        env={"HAPROXY_ROLE": role, "BACKENDS": ",".join(backends)},
        calls=backends,
        publish=(entry, "stats"),
        ready=HttpReady("stats", "/metrics"),
        memory="128m",
    )


def _redis(name: str, zone: str) -> Instance:
    return Instance(
        name,
        "redis",
        _REDIS,
        {"redis": 6379, "tls": 6380},
        zone,
        env={
            "REDIS_ROLE": "primary" if name == REDIS[0] else "replica",
            "REDIS_NAME": name,
            "REDIS_PRIMARY": REDIS[0],
            "REDIS_SENTINELS": _SENTINEL_LIST,
        },
        calls=(*_others(name, REDIS), *SENTINELS),
        publish=("redis", "tls"),
        plays=("redis",),
        ready=Speaks("redis", "PING", "+PONG"),
        memory="256m",
    )


def _sentinel(name: str, zone: str) -> Instance:
    return Instance(
        name,
        "sentinel",
        _REDIS,
        {"sentinel": 26379},
        zone,
        env={"REDIS_ROLE": "sentinel", "REDIS_NAME": name, "REDIS_PRIMARY": REDIS[0]},
        calls=(*REDIS, *_others(name, SENTINELS)),
        publish=("sentinel",),
        ready=Speaks("sentinel", "PING", "+PONG"),
        memory="128m",
    )


def _llm(name: str, zone: str) -> Instance:
    return Instance(
        name,
        "llm",
        _LLM,
        {"http": 8080},
        zone,
        env={"NODE_NAME": name, "MODEL_NAME": f"sample-{name}", "CHEAP_MODEL": CHEAP_MODEL, "SEED": "1"},
        publish=("http",),
        ready=HttpReady("http", "/health/live"),
        plays=("llm",),
        memory="256m",
    )


def _tool(name: str, zone: str) -> Instance:
    return Instance(
        name,
        "tool",
        _TOOL,
        {"http": 8080},
        zone,
        env={"NODE_NAME": name},
        publish=("http",),
        ready=HttpReady("http", "/health/live"),
        memory="64m",
    )


def _app(name: str, zone: str, role: str = "app", memory: str = "512m") -> Instance:
    return Instance(
        name,
        role,
        _APP,
        {"http": 8000},
        zone,
        env={
            "NODE_NAME": name,
            "ROLE": role,
            "ZONE": zone,
            "DATABASE_URL": f"postgresql://app:{APP_PASSWORD}@pgproxy-1:5000/app",
            "RETRIEVAL_URL": f"postgresql://app:{APP_PASSWORD}@pgproxy-1:5001/app",
            "REDIS_SENTINELS": _SENTINEL_LIST,
            "REDIS_MASTER": REDIS_MASTER,
            "LLM_PRIMARY_URL": "http://llm-1:8080/v1",
            "LLM_FALLBACK_URL": "http://llm-2:8080/v1",
            "TOOL_URL": f"http://{TOOLS[0]}:8080",
            "LLM_CHEAP_MODEL": CHEAP_MODEL,
            "REPLICAS": str(len(APPS)),
            "USER_RATE": str(USER_RATE),
            "USER_BURST": str(USER_BURST),
            "JWT_SECRET": JWT_SECRET,
            "CONTENT_KEYS": CONTENT_KEY,
            "SECRETS_DIR": SECRETS_DIR,
            # Longer than any drill: what it asks for in the end is still there.
            "KEEP_SECONDS": "1800",
            "LOG_LEVEL": "INFO",
            "TRACE_RATIO": "0.1",
        },
        calls=("pgproxy-1", *REDIS, *SENTINELS, *LLMS, *TOOLS),
        publish=("http",),
        ready=HttpReady("http", "/health/ready"),
        memory=memory,
    )


def _prober(name: str, zone: str) -> Instance:
    endpoints = (
        *(f"{n}:8443" for n in FRONTS),
        *(f"{n}:6380" for n in REDIS),
        *(f"postgres://{n}:5432" for n in POSTGRES),
    )
    return Instance(
        name,
        "prober",
        _APP,
        {"http": 8000},
        zone,
        command=("python", "-m", "service.prober"),
        env={"NODE_NAME": name, "ENDPOINTS": " ".join(endpoints)},
        calls=(*FRONTS, *REDIS, *POSTGRES),
        publish=("http",),
        ready=HttpReady("http", "/metrics"),
        memory="128m",
    )


def _prometheus(scraped: dict[str, tuple[tuple[str, ...], int]]) -> Instance:
    """`scraped`: by job, the instances and the port at which they tell their metrics."""
    targets = (f"{job}={','.join(f'{n}:{port}' for n in names)}" for job, (names, port) in scraped.items())
    return Instance(
        "prometheus-1",
        "prometheus",
        _PROMETHEUS,
        {"http": 9090},
        "ops",
        env={"MONITORING_ROLE": "prometheus", "TARGETS": " ".join(targets)},
        calls=(*(name for names, _ in scraped.values() for name in names), "alertmanager-1"),
        publish=("http",),
        ready=HttpReady("http", "/-/ready"),
        memory="256m",
    )


_ALERTMANAGER = Instance(
    "alertmanager-1",
    "alertmanager",
    _PROMETHEUS,
    {"http": 9093},
    "ops",
    env={"MONITORING_ROLE": "alertmanager"},
    publish=("http",),
    ready=HttpReady("http", "/-/ready"),
    memory="128m",
)


stack = Stack(
    name="sample",
    sidecar=Image("toxiproxy", _HERE / "toxiproxy"),
    # In the order in which they are started: what takes longest to be ready comes first.
    instances=(
        *(_etcd(n, z) for n, z in zip(ETCD, ZONES, strict=True)),
        *(_postgres(n, z) for n, z in zip(POSTGRES, ZONES, strict=False)),
        *(_redis(n, z) for n, z in zip(REDIS, ZONES, strict=False)),
        _haproxy(
            "pgproxy-1", "a", "pgproxy", "postgres", {"primary": 5000, "replica": 5001}, POSTGRES, "primary"
        ),
        *(_llm(n, z) for n, z in zip(LLMS, ZONES, strict=False)),
        *(_tool(n, z) for n, z in zip(TOOLS, ZONES, strict=False)),
        *(_app(n, z) for n, z in zip(APPS, ZONES, strict=True)),
        *(_app(n, z, "worker", "384m") for n, z in zip(WORKERS, ZONES, strict=False)),
        *(_sentinel(n, z) for n, z in zip(SENTINELS, ZONES, strict=True)),
        *(
            _haproxy(n, z, "front", "front", {"https": 8443}, APPS, "https")
            for n, z in zip(FRONTS, ZONES, strict=False)
        ),
        *(_prober(n, "ops") for n in PROBERS),
        _ALERTMANAGER,
        _prometheus(
            {
                "app": (APPS, 8000),
                "worker": (WORKERS, 8000),
                "haproxy": ((*FRONTS, "pgproxy-1"), 8404),
                "patroni": (POSTGRES, 8008),
                "etcd": (ETCD, 2379),
                "prober": (PROBERS, 8000),
            }
        ),
    ),
    roles={"postgres": PatroniRoles(), "redis": SentinelRoles()},
    steady=(
        Named("Postgres has a primary and a synchronous standby", conditions.postgres),
        Named("the database proxy knows one primary and one replica", conditions.database_proxy),
        Named("Redis has a primary and a replica, and the Sentinels agree", conditions.redis),
        Named("each front knows every app replica", conditions.front),
        Named("no breaker is open", conditions.breakers),
        Named("through each front a chat is answered without degradation", conditions.chat),
        Named("the workers share a consumer group, and a job is done", conditions.jobs),
    ),
    sources=(
        PatroniSource(),
        SentinelSource(),
        HAProxySource("pgproxy"),
        HAProxySource("front"),
        ContainerSource(),
        # Reading all metrics of a process costs it and the harness some milliseconds each.
        BreakerSource(every=0.5),
        BreakerSource("worker", every=1.0),
        AlertSource(),
    ),
    quorum={"etcd": 2, "sentinel": 2},
    load=load,
    reset=reset,
    configuration=configuration,
    given=certificates.given,
    variants=VARIANTS,
    secrets=SECRETS,
    memory_mib=4608,
    disk_mib=4096,
)
