"""The stack `region`: the sample, and a second region that stands by for it.

Its Postgres follows the first region's primary as a Patroni standby cluster, with an etcd of its own. Its app
is not ready while its Postgres is a standby, and the fronts know it as a backup server.
"""

from __future__ import annotations

from dataclasses import replace

from blackstart.model.stack import Instance
from blackstart.observe import HAProxySource, PatroniRoles, PatroniSource
from blackstart.stack.conditions import HttpReady, Named
from sut import certificates
from sut import conditions as sample_conditions
from sut.region import conditions, regions, settings
from sut.region.configuration import configuration
from sut.region.load import load
from sut.region.variants import VARIANTS
from sut.settings import APP_PASSWORD, APPS, FRONTS, LLMS, POSTGRES, TOOLS, WORKERS
from sut.stack import stack as sample

_DATABASE = f"postgresql://app:{APP_PASSWORD}@{settings.PROXY}:{settings.PRIMARY_PORT}/app"
#: Whether it is to be ready depends on the region that serves: see the stack's own conditions.
_LIVE = HttpReady("http", "/health/live")


def given(run_id: str) -> dict[str, dict[str, str]]:
    """By instance, what the sample's run gives, and the same for the second region."""
    authority = certificates.authority_of(run_id)

    def server(*names: str) -> dict[str, str]:
        return {"TLS_PEM": authority.issue(names, valid=certificates.VALID)}

    return certificates.given(run_id) | {
        # Clients come to Postgres through the proxy, and verify the name that they dialled.
        settings.POSTGRES: server(settings.POSTGRES, f"{settings.POSTGRES}.net", settings.PROXY),
        settings.REDIS: server(settings.REDIS, f"{settings.REDIS}.net"),
        settings.APP: {"TLS_CA": authority.certificate},
        settings.WORKER: {"TLS_CA": authority.certificate},
    }


def _second(like: str, name: str, calls: tuple[str, ...], **env: str) -> Instance:
    """An instance of the second region, made like one of the sample's."""
    pattern = sample.instance(like)
    return replace(
        pattern,
        name=name,
        service=f"{pattern.service}-r",
        zone=settings.ZONE,
        env={**pattern.env, **env},
        calls=calls,
    )


def _service(like: str, name: str) -> Instance:
    """An app replica or a worker of the second region. The providers and the tool are in neither region."""
    calls = (settings.PROXY, settings.REDIS, settings.SENTINEL, *LLMS, *TOOLS)
    told = {
        "NODE_NAME": name,
        "ZONE": settings.ZONE,
        "DATABASE_URL": _DATABASE,
        # There is one node, which serves both.
        "RETRIEVAL_URL": _DATABASE,
        "REDIS_SENTINELS": f"{settings.SENTINEL}:26379",
        "REPLICAS": "1",
    }
    return replace(_second(like, name, calls, **told), ready=_LIVE)


_SECOND = (
    _second(
        "etcd-1",
        settings.ETCD,
        (),
        ETCD_NAME=settings.ETCD,
        ETCD_CLUSTER=f"{settings.ETCD}=http://{settings.ETCD}:2380",
    ),
    _second(
        POSTGRES[0],
        settings.POSTGRES,
        (settings.ETCD, settings.FIRST_PROXY),
        PATRONI_NAME=settings.POSTGRES,
        ETCD_HOSTS=f"{settings.ETCD}:2379",
        STANDBY_OF=f"{settings.FIRST_PROXY}:{settings.PRIMARY_PORT}",
        STANDBY_SLOT=settings.SLOT_OF_SECOND,
    ),
    # One that is alone takes writes all the same.
    _second(
        "redis-1",
        settings.REDIS,
        (settings.SENTINEL,),
        REDIS_NAME=settings.REDIS,
        REDIS_PRIMARY=settings.REDIS,
        REDIS_SENTINELS=f"{settings.SENTINEL}:26379",
        REDIS_LEAST="0",
    ),
    _second("pgproxy-1", settings.PROXY, (settings.POSTGRES,), BACKENDS=settings.POSTGRES),
    _service(APPS[0], settings.APP),
    _service(WORKERS[0], settings.WORKER),
    _second(
        "sentinel-1",
        settings.SENTINEL,
        (settings.REDIS,),
        REDIS_NAME=settings.SENTINEL,
        REDIS_PRIMARY=settings.REDIS,
        REDIS_REPLICAS="0",
    ),
)


def _first(node: Instance) -> Instance:
    """A Postgres node of the first region: its primary keeps the log for the second, which it may follow."""
    return replace(
        node, env={**node.env, "SLOT": settings.SLOT_OF_SECOND}, calls=(*node.calls, settings.PROXY)
    )


def _front(front: Instance) -> Instance:
    return replace(front, env={**front.env, "STANDBYS": settings.APP}, calls=(*front.calls, settings.APP))


def _watching(prometheus: Instance) -> Instance:
    """The sample's Prometheus, that asks the second region as well."""
    more = {
        "app": f"{settings.APP}:8000",
        "worker": f"{settings.WORKER}:8000",
        "haproxy": f"{settings.PROXY}:8404",
        "patroni": f"{settings.POSTGRES}:8008",
    }

    def also(target: str) -> str:
        job = target.partition("=")[0]
        return f"{target},{more[job]}" if job in more else target

    return replace(
        prometheus,
        env={**prometheus.env, "TARGETS": " ".join(map(also, prometheus.env["TARGETS"].split()))},
        calls=(*prometheus.calls, settings.APP, settings.WORKER, settings.PROXY, settings.POSTGRES),
    )


_changed = {
    **{name: _first(sample.instance(name)) for name in POSTGRES},
    **{name: _front(sample.instance(name)) for name in FRONTS},
    **{name: replace(sample.instance(name), ready=_LIVE) for name in (*APPS, *WORKERS)},
    "prometheus-1": _watching(sample.instance("prometheus-1")),
}

stack = replace(
    sample,
    name="region",
    instances=(*(_changed.get(i.name, i) for i in sample.instances), *_SECOND),
    roles={**sample.roles, "postgres-r": PatroniRoles()},
    steady=(
        Named("one region has the primary, and the other one follows it", conditions.postgres),
        Named("the database proxy of that region alone knows a primary", conditions.database_proxies),
        Named("Redis has a primary and a replica, and the Sentinels agree", sample_conditions.redis),
        Named("each front knows every app replica of that region, and no other", conditions.front),
        Named("no breaker is open", sample_conditions.breakers),
        Named("through each front a chat is answered without degradation", sample_conditions.chat),
        Named("the workers of that region share a consumer group, and a job is done", conditions.jobs),
    ),
    sources=(*sample.sources, PatroniSource("postgres-r"), HAProxySource("pgproxy-r")),
    load=load,
    reset=regions.reset,
    configuration=configuration,
    given=given,
    variants=(*sample.variants, *VARIANTS),
    memory_mib=sample.memory_mib + 768,
)
