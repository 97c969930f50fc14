"""The settings in force, asked of the components themselves: what a file says may have been adjusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sut import conditions
from sut.settings import POSTGRES, REDIS, REDIS_MASTER, SENTINELS

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

_POSTGRES = (
    "server_version",
    "synchronous_commit",
    "synchronous_standby_names",
    "wal_log_hints",
    "data_checksums",
    "max_connections",
    "ssl",
    "ssl_min_protocol_version",
    "shared_buffers",
    "wal_sender_timeout",
    "wal_receiver_timeout",
    "idle_in_transaction_session_timeout",
    "archive_mode",
    "archive_timeout",
    "wal_segment_size",
)
_REDIS = (
    "maxmemory",
    "maxmemory-policy",
    "appendonly",
    "appendfsync",
    "min-replicas-to-write",
    "repl-timeout",
    "tls-port",
)
_SENTINEL = ("down-after-milliseconds", "failover-timeout", "parallel-syncs", "quorum")


def configuration(running: RunningStack) -> dict[str, Any]:
    """Settings by component. What cannot be asked now is named with the reason instead."""
    asked: dict[str, Callable[[], Any]] = {
        "patroni": lambda: conditions.get(running.url(POSTGRES[0], "patroni", "/config")).json(),
        "postgres": lambda: _postgres(running),
        "redis": lambda: _redis(running),
        "sentinel": lambda: _sentinel(running),
    }
    found: dict[str, Any] = {}
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except Exception as error:  # noqa: BLE001 - a report without one of them is better than no report
            found[name] = f"unknown: {error}"
    return found


def _postgres(running: RunningStack) -> dict[str, str]:
    primary = running.resolve("postgres.primary")[0].name
    names = ", ".join(f"'{n}'" for n in _POSTGRES)
    rows = conditions.ask_postgres(
        running, primary, f"SELECT name, current_setting(name) FROM pg_settings WHERE name IN ({names})"
    )
    return dict(line.split("|", 1) for line in rows.splitlines())


def _redis(running: RunningStack) -> dict[str, str]:
    with conditions.connect_redis(running, REDIS[0], "redis") as client:
        settings: dict[str, str] = client.config_get(*_REDIS)
    return dict(settings)


def _sentinel(running: RunningStack) -> dict[str, str]:
    with conditions.connect_redis(running, SENTINELS[0], "sentinel") as client:
        master = client.sentinel_master(REDIS_MASTER)
    return {k: str(master[k]) for k in _SENTINEL}
