"""What clients of the stack `region` do: the sample's load, whose raw writes look for the primary in both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from blackstart.load.operations import LoadPlan, Operation, SqlRead, SqlWrite
from sut import load as sample
from sut.certificates import trusted
from sut.region import settings
from sut.settings import APP_PASSWORD

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack


def load(running: RunningStack) -> LoadPlan:
    """As the sample's. Who writes past the app has a DSN of both regions' proxies, as a batch job would."""
    plan = sample.load(running)
    dsn = _dsn(running)

    def moved(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        return tuple(_with(operation, dsn) for operation in operations)

    return replace(
        plan,
        operations=moved(plan.operations),
        closing=moved(plan.closing),
        optional=moved(plan.optional),
    )


def _with(operation: Operation, dsn: str) -> Operation:
    # `sql-direct` goes past the proxies, to nodes.
    if isinstance(operation, SqlWrite | SqlRead) and operation.f != "sql-direct":
        return replace(operation, dsn=dsn)
    return operation


def _dsn(running: RunningStack) -> str:
    proxies = (settings.FIRST_PROXY, settings.PROXY)
    hosts = ",".join("{}:{}".format(*running.address(name, "primary")) for name in proxies)
    verified = f"sslmode=verify-full&sslrootcert={quote(trusted(running.run_id))}"
    return f"postgresql://app:{APP_PASSWORD}@{hosts}/app?target_session_attrs=primary&{verified}"
