"""Patroni as an event source: what each node says of itself, and who holds the leader lock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from blackstart.observe.http import UNREACHABLE, get
from blackstart.observe.source import Fact, PollingSource, Watch, claimed, short

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: A standby cluster's leader takes no writes: it follows another cluster's primary.
_REPLICA = frozenset({"replica", "standby_leader"})


@dataclass(frozen=True)
class PatroniStatus:
    """A node's own view (`GET /health`); `timeline` and `xlog` (bytes) are None while Postgres is down.

    `date` is the node's wall clock in epoch seconds, whole seconds.
    """

    role: str
    state: str
    timeline: int | None
    xlog: int | None
    sync_standby: bool = False
    date: float | None = None

    @property
    def is_primary(self) -> bool:
        """Primary in name *and* running: a crashed primary keeps the name until it is demoted."""
        return self.role == "primary" and self.state == "running"

    @property
    def is_replica(self) -> bool:
        """Replica whose Postgres runs and can be read from."""
        return self.role in _REPLICA and self.state == "running"

    @classmethod
    def parse(cls, body: bytes, date: float | None = None) -> PatroniStatus:
        """Parse the body of `/health` or `/patroni`, Patroni 3 or 4; ValueError if it is something else."""
        data: Any = json.loads(body)
        if not isinstance(data, dict) or "state" not in data:
            raise ValueError(f"not Patroni's status of a node: {body[:80]!r}")
        role = str(data.get("role", "unknown"))
        xlog = data.get("xlog") or {}
        position = xlog.get("location", xlog.get("replayed_location"))
        # Patroni before 4.0 says master.
        name = "primary" if role == "master" else role
        # Postgres that is starting answers timeline 0.
        return cls(
            name,
            str(data["state"]),
            data.get("timeline") or None,
            position or None,
            bool(data.get("sync_standby")),
            date,
        )


def status(base_url: str, timeout: float = 1.0) -> PatroniStatus:
    """Ask the node at `base_url` (`http://host:port`); raises one of `http.UNREACHABLE`."""
    # /patroni says the same, but keeps trying to reach a dead Postgres for seconds before it does; the status
    # code (503 while Postgres is down) does not matter here.
    answer = get(f"{base_url}/health", timeout)
    return PatroniStatus.parse(answer.body, answer.date)


@dataclass(frozen=True)
class Lock:
    """Who holds the leader lock (None: nobody), on which timeline, as the store of the cluster has it."""

    leader: str | None
    timeline: int | None
    date: float | None = None

    @classmethod
    def parse(cls, body: bytes, date: float | None = None) -> Lock:
        """Parse the body of `/cluster`; ValueError if it is something else."""
        data: Any = json.loads(body)
        if not isinstance(data, dict) or not isinstance(data.get("members"), list):
            raise ValueError(f"not an answer of Patroni's /cluster: {body[:80]!r}")
        for member in data["members"]:
            if member.get("role") in ("leader", "standby_leader"):
                return cls(str(member["name"]), member.get("timeline"), date)
        return cls(None, None, date)


class PatroniSource(PollingSource):
    """Events `role`, `timeline`, `state`, `sync_standby` (each with all four), `unreachable`, `reachable` of
    each instance, and `leader` of the service: who holds the lock."""

    name = "patroni"

    def __init__(self, service: str = "postgres", port: str = "patroni", every: float = 0.2) -> None:
        super().__init__()
        self.service, self.port, self.every = service, port, every

    def watches(self, running: RunningStack) -> Iterable[Watch]:
        """A watch per node and one of the lock, by whichever node answers."""
        urls = {i.name: running.url(i.name, self.port) for i in running.stack.of(self.service)}
        for instance, url in urls.items():
            yield Watch({"instance": instance}, partial(self._node, url), {"role": "unreachable"})
        yield Watch({"service": self.service}, partial(self._lock, tuple(urls.values())))

    def _node(self, url: str) -> Sequence[Fact]:
        seen = status(url, self.timeout)
        values = {
            "role": seen.role,
            "state": seen.state,
            "timeline": seen.timeline,
            "sync_standby": seen.sync_standby,
        }
        return [Fact(values, extra={"xlog": seen.xlog, **claimed(seen.date, 1.0)})]

    def _lock(self, urls: Sequence[str]) -> Sequence[Fact]:
        why: BaseException = OSError("no nodes")
        for url in urls:
            try:
                answer = get(f"{url}/cluster", self.timeout)
                lock = Lock.parse(answer.body, answer.date)
            except UNREACHABLE as error:
                why = error
                continue
            return [
                Fact({"leader": lock.leader}, extra={"timeline": lock.timeline, **claimed(lock.date, 1.0)})
            ]
        raise OSError(f"no node tells who holds the lock: {short(why)}")
