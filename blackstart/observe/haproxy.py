"""HAProxy as an event source: which servers it holds to be up, and how many it can send to."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from blackstart.observe.http import get
from blackstart.observe.source import Fact, PollingSource, Watch, claimed

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

_EVENTS = {"UP": "up", "DOWN": "down", "MAINT": "maintenance", "DRAIN": "draining", "no check": "unchecked"}


def parse(body: bytes, wall_s: float) -> list[Fact]:
    """Facts from the CSV of `/stats;csv`: one per server, one per backend that has servers.

    `wall_s` is the wall clock at the answer. ValueError if it is something else.
    """
    text = body.decode()
    if not text.startswith("# pxname,svname,"):
        raise ValueError(f"not HAProxy's statistics: {text[:80]!r}")
    rows = list(csv.DictReader(text[2:].splitlines()))
    # An HAProxy row's type: 0 frontend, 1 backend, 2 server, 3 listener.
    servers = [row for row in rows if row["type"] == "2"]
    with_servers = {row["pxname"] for row in servers}
    backends = [row for row in rows if row["type"] == "1" and row["pxname"] in with_servers]
    return [*(_server(row, wall_s) for row in servers), *(_backend(row) for row in backends)]


def _server(row: dict[str, str], wall_s: float) -> Fact:
    status = row["status"]
    # "* L7OK": another check is under way, and until it ends the code of the last one is not shown.
    check = row.get("check_status", "")
    code = "" if check.startswith("* ") else row.get("check_code", "")
    # Whole seconds since it went up or down; a failed check that changes neither does not count.
    since = wall_s - float(row["lastchg"]) if row.get("lastchg") and "/" not in status else None
    return Fact(
        {"status": status, "check": check.removeprefix("* ")},
        of={"backend": row["pxname"], "server": row["svname"]},
        named={"status": _event(status)},
        extra={"check_code": int(code)} if code else {},
        claims={"status": claimed(since, 1.0)},
    )


def _event(status: str) -> str:
    # "UP 1/2" has failed a check and is still used; "DOWN 1/2" has passed one and is not used yet.
    if status.startswith("UP ") and "/" in status:
        return "failing"
    if status.startswith("DOWN ") and "/" in status:
        return "rising"
    return _EVENTS.get(status, _EVENTS.get(status.split(" ")[0], status.lower()))


def _backend(row: dict[str, str]) -> Fact:
    return Fact({"active": int(row["act"] or 0)}, of={"backend": row["pxname"]})


class HAProxySource(PollingSource):
    """Events `up`, `down`, `failing`, `rising`, `check` of each server and `active` (how many servers) of
    each backend, from every instance of `service`."""

    name = "haproxy"

    def __init__(
        self, service: str, port: str = "stats", path: str = "/stats;csv", every: float = 0.2
    ) -> None:
        super().__init__()
        self.service, self.port, self.path, self.every = service, port, path, every

    def watches(self, running: RunningStack) -> Iterable[Watch]:
        """A watch per HAProxy instance."""
        for instance in running.stack.of(self.service):
            url = running.url(instance.name, self.port, self.path)
            yield Watch({"instance": instance.name}, partial(self._poll, url))

    def _poll(self, url: str) -> Sequence[Fact]:
        return parse(get(url, self.timeout).body, time.time())
