"""Weakened variants of the sample stack, for negative controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from blackstart.faults import edge_down
from blackstart.model.errors import SteadyStateError
from blackstart.model.stack import Variant
from blackstart.stack.waiting import wait_until
from sut import conditions
from sut.settings import POSTGRES

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

_LIMIT = "30s"
_STRONG = {"synchronous_mode": True, "maximum_lag_on_failover": 1 << 20}
_WEAK = {"synchronous_mode": False, "maximum_lag_on_failover": 1 << 40}


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
        primary = next(n for n, role in running.role_map("postgres").items() if role == "primary")
        shown = conditions.ask_postgres(running, primary, "SHOW synchronous_standby_names")
        return (
            None if bool(shown) is settings["synchronous_mode"] else f"synchronous_standby_names = {shown!r}"
        )

    wait_until("Patroni's new configuration", patched, limit=_LIMIT, error=SteadyStateError)
    wait_until(f"Patroni with {settings}", in_force, limit=_LIMIT, every=0.2, error=SteadyStateError)


VARIANTS = (
    Variant(
        "async-replication",
        "asynchronous replication, a standby of any age may be promoted, and the replication link is cut",
        apply=_weaken,
        revert=_strengthen,
        faults=(edge_down("postgres.replica", "postgres.primary", port=5432),),
        lead="2s",
    ),
)
