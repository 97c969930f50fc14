"""Restores the newest backup into this clean place and examines it: whether it would do, before it must."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import account, server, side
from .account import Account
from .base import RUN, Failed, flagged, place
from .wanted import parse

_VERIFIED = RUN / "verified.json"
_METRICS = Path(os.environ.get("METRICS", "/run/metrics/metrics"))
_SUCCESS, _FAILED = "restore_verified_timestamp_seconds", "restore_verification_failed"
_ROWS = "restore_verified_rows"
_DURATION, _LIMIT = "restore_verification_duration_seconds", "restore_verification_limit_seconds"
#: Since when verifications are expected here.
_EXPECTED = "restore_verification_expected_timestamp_seconds"
#: Seconds from one scheduled verification to the next; 0 for no schedule.
_EVERY_S = float(os.environ.get("VERIFY_EVERY_S", "0"))
#: How long beyond the second one that is missed nobody is told.
_GRACE_S = 30
#: A negative control has the verification count nothing.
_SKIPS = "verification-skips-rows"
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
#: For every table, a statement that counts its rows and adds up their hashes, in whatever order they come.
_DIGESTS = """
SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM %I.%I t',
              schemaname || '.' || tablename, schemaname, tablename)
FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY schemaname, tablename
"""


@dataclass
class Found:
    """What the verification found so far."""

    restored: Account | None = None
    tables: dict[str, tuple[int, str]] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def told(self, seconds: float) -> dict[str, Any]:
        """As JSON has it; see Verification in sut/recovery/accounts.py."""
        return {"ok": not self.errors, **asdict(self), "seconds": round(seconds, 3)}


def verify_restore(words: Sequence[str]) -> None:
    """verify-restore [--type TYPE] [--target TARGET] [--set LABEL] [--timeline N]: prints one line of JSON

    What is restored is dropped again. Ends with 1 where anything was wrong, and tells it in `errors`.
    """
    wanted, _ = parse("verify-restore", words)
    # Also between the steps of a restore, after one that failed and may be tried again, and if its Postgres
    # died. What a verification that broke off has left nobody needs.
    used = server.is_running() or account.is_under_way() or server.holds_data()
    if used and not account.is_verification():
        raise Failed("a side cluster is in use here: run drop-cluster when it is done with")
    began, found = time.monotonic(), Found()
    try:
        side.drop()
        side.copy(wanted, verification=True)
        found.restored = side.replay()
        found.checks.append("restore")
        found.errors += _structures()
        found.checks.append("amcheck")
        if not flagged(_SKIPS):
            found.tables = _tables()
            found.checks.append("rows")
    except Failed as error:
        found.errors.append(str(error))
    finally:
        side.drop()
    told = found.told(time.monotonic() - began)
    place(_VERIFIED, json.dumps(told) + "\n")
    _measure(told)
    print(json.dumps(told), flush=True)
    if found.errors:
        raise Failed(found.errors[0])


def _structures() -> list[str]:
    """What amcheck finds wrong with any heap or index: every row of a table must be in its indexes."""
    words = ["pg_amcheck", "-h", "/var/run/postgresql", "-U", "postgres", "--all", "--install-missing"]
    done = subprocess.run(
        [*words, "--heapallindexed"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode == 0:
        return []
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return [f"amcheck: {' '.join(lines[:4])[:500] or f'ended with {done.returncode}'}"]


def _tables() -> dict[str, tuple[int, str]]:
    """Rows and checksum of every table, by `database.schema.table`. Raises Failed."""
    found = {}
    for database in server.ask(_DATABASES).splitlines():
        for statement in server.ask(_DIGESTS, database=database).splitlines():
            name, rows, digest = server.ask(statement, database=database).rsplit("|", 2)
            found[f"{database}.{name}"] = (int(rows), digest)
    return found


def _measure(told: dict[str, Any]) -> None:
    """Tell Prometheus; of a failure, it stays known when the last success was."""
    found = {_FAILED: float(not told["ok"]), _DURATION: float(told["seconds"])}
    if told["ok"]:
        found[_SUCCESS] = time.time()
    if told["ok"] and told["tables"]:
        found[_ROWS] = float(sum(rows for rows, _ in told["tables"].values()))
    _write(found)


def expect_verification(words: Sequence[str]) -> None:
    """expect-verification: counts from now on until the first verification is overdue"""
    if words:
        raise Failed("expect-verification takes no arguments")
    # A start is no verification: what the last one found stays known.
    _write({_EXPECTED: time.time()})


def _write(found: dict[str, float]) -> None:
    """Replace these of the metrics that Prometheus reads; the others stay."""
    limit = {_LIMIT: 2 * _EVERY_S + _GRACE_S} if _EVERY_S else {}
    metrics = {_SUCCESS: 0.0, _FAILED: 0.0} | _known() | found | limit
    place(_METRICS, "".join(f"{name} {_shown(value)}\n" for name, value in metrics.items()))


def _shown(value: float) -> str:
    """Times in whole seconds, as a shell compares them."""
    return f"{value:.0f}" if value >= 1e6 else f"{value:g}"


def _known() -> dict[str, float]:
    """The metrics of before, by name; none where there are none yet."""
    try:
        lines = [line.split() for line in _METRICS.read_text().splitlines()]
        return {name: float(value) for name, value in lines}
    except (OSError, ValueError):
        return {}
