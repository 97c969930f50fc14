"""Weakened variants of the sample stack, for negative controls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import requests

from blackstart.faults import edge_down
from blackstart.model.errors import SteadyStateError
from blackstart.model.stack import Variant
from blackstart.platforms.waiting import wait_until
from blackstart.stack.provision import reconfigure
from sut import conditions
from sut.settings import APPS, POSTGRES, REDIS

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

_LIMIT = "30s"
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

    def patched() -> str | None:
        for name in POSTGRES:
            requests.patch(
                running.url(name, "patroni", "/config"), json=settings, timeout=5
            ).raise_for_status()
            return None
        return "no Patroni node"

    def in_force() -> str | None:
        if (wrong := conditions.postgres(running)) is not None:
            return wrong
        primary = running.resolve("postgres.primary")[0].name
        shown = conditions.ask_postgres(running, primary, "SHOW synchronous_standby_names")
        return (
            None if bool(shown) is settings["synchronous_mode"] else f"synchronous_standby_names = {shown!r}"
        )

    wait_until("Patroni's new configuration", patched, limit=_LIMIT, error=SteadyStateError)
    wait_until(f"Patroni with {settings}", in_force, limit=_LIMIT, every=0.2, error=SteadyStateError)


def _without(protection: str, *instances: str) -> dict[str, Any]:
    """`apply` and `revert` that start the instances without a protection, and as declared again."""
    return {
        "apply": lambda running: reconfigure(running, {name: {"WITHOUT": protection} for name in instances}),
        "revert": lambda running: reconfigure(running, {name: {} for name in instances}),
    }


def _proxy_without_role(running: RunningStack) -> None:
    """The proxy's first server is the primary of now: without that no load would be well to begin with."""
    roles = running.role_map("postgres")
    backends = sorted(POSTGRES, key=lambda name: roles.get(name) != "primary")
    reconfigure(running, {"pgproxy-1": {"WITHOUT": "role", "BACKENDS": ",".join(backends)}})


def _persistence(yes_or_no: str, running: RunningStack) -> None:
    for name in REDIS:
        with conditions.connect_redis(running, name, "redis") as client:
            client.config_set("appendonly", yes_or_no)
            client.config_rewrite()


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
        "tcp-check",
        "the database proxy asks whether the first Postgres accepts TCP, not whether it is the primary",
        apply=_proxy_without_role,
        revert=lambda running: reconfigure(running, {"pgproxy-1": {}}),
        steady=False,
    ),
    Variant("no-cache-fallback", "errors of the cache are not caught", **_without("cache-fallback", *APPS)),
    Variant("no-cache-timeout", "the cache is waited for for a minute", **_without("cache-timeout", *APPS)),
    Variant("no-breakers", "no breaker ever opens", **_without("breakers", *APPS)),
    Variant("crowded-probes", "a half-open breaker lets every call through", **_without("one-probe", *APPS)),
    Variant("key-ignored", "the idempotency key is ignored", **_without("idempotency", *APPS)),
    Variant(
        "no-redispatch",
        "the front neither checks the app replicas nor tries another",
        **_without("redispatch", "front-1"),
        steady=False,
    ),
    Variant(
        "no-persistence",
        "Redis keeps nothing on disk: a primary that is back at once comes back empty",
        apply=partial(_persistence, "no"),
        revert=partial(_persistence, "yes"),
    ),
)
