"""Role resolvers: which instance of a service holds which role *now*, by asking the instances.

An instance that does not answer, or is between roles, has no role. A map may therefore name no primary,
and, in a split, two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from blackstart.observe.http import UNREACHABLE
from blackstart.observe.patroni import status

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

T = TypeVar("T")


class RoleResolver(Protocol):
    """Tells roles of a service's instances apart; `roles` are all names that it can give."""

    @property
    def roles(self) -> tuple[str, ...]: ...

    def resolve(self, running: RunningStack, service: str) -> dict[str, str]:
        """Role by instance name; instances without a role are left out."""
        ...


@dataclass(frozen=True)
class PatroniRoles:
    """Postgres under Patroni, by what each node says of itself on the published port named `port`."""

    port: str = "patroni"
    timeout: float = 1.0
    roles: tuple[str, ...] = ("primary", "replica")

    def resolve(self, running: RunningStack, service: str) -> dict[str, str]:
        """Role by instance; a node counts only while its Postgres runs."""

        def ask(instance: str) -> str | None:
            try:
                seen = status(running.url(instance, self.port), self.timeout)
            except UNREACHABLE:
                return None
            if seen.is_primary:
                return "primary"
            return "replica" if seen.is_replica else None

        return _known(_each(ask, [i.name for i in running.stack.of(service)]))


@dataclass(frozen=True)
class SentinelRoles:
    """Redis under Sentinel: the primary is whom most answering Sentinels name.

    `service` and `port` say where the Sentinels are, `master` what they call the group. Where the Redis
    instances publish `redis_port` they must agree by their own `ROLE`; otherwise the rest are replicas.
    """

    service: str = "sentinel"
    port: str = "sentinel"
    master: str = "cache"
    redis_port: str = "redis"
    timeout: float = 1.0
    roles: tuple[str, ...] = ("primary", "replica")

    def resolve(self, running: RunningStack, service: str) -> dict[str, str]:
        """Role by instance; empty while no name has more than half of the answers."""
        sentinels = [i.name for i in running.stack.of(self.service)]
        named = Counter(_known(_each(lambda s: self._named_by(running, s), sentinels)).values())
        primary, votes = named.most_common(1)[0] if named else ("", 0)
        if 2 * votes <= named.total():
            return {}

        def ask(instance: str) -> str | None:
            expected = "primary" if instance == primary else "replica"
            if self.redis_port not in running.stack.instance(instance).publish:
                return expected
            own = self._own_role(running, instance)
            return expected if own == expected else None

        return _known(_each(ask, [i.name for i in running.stack.of(service)]))

    def _named_by(self, running: RunningStack, sentinel: str) -> str | None:
        reply = self._call(running, sentinel, self.port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master)
        return _text(reply[0]) if isinstance(reply, list | tuple) and reply else None

    def _own_role(self, running: RunningStack, instance: str) -> str | None:
        reply = self._call(running, instance, self.redis_port, "ROLE")
        own = _text(reply[0]) if isinstance(reply, list | tuple) and reply else ""
        return {"master": "primary", "slave": "replica"}.get(own)

    def _call(self, running: RunningStack, instance: str, port: str, *command: str) -> Any:
        """The reply, or None where there is none in time."""
        # Imported late: the pytest plugin loads in suites that never talk to Redis.
        from redis import Redis, RedisError
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        host, number = running.address(instance, port)
        client = Redis(
            host=host,
            port=number,
            socket_timeout=self.timeout,
            socket_connect_timeout=self.timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        try:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            return None
        finally:
            client.close()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _each(ask: Callable[[str], T], names: Iterable[str]) -> Mapping[str, T]:
    """Ask all at once, so that one that hangs costs one timeout, not one each."""
    names = list(names)
    if not names:
        return {}
    with ThreadPoolExecutor(len(names), thread_name_prefix="roles") as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def _known(answers: Mapping[str, str | None]) -> dict[str, str]:
    return {name: answer for name, answer in answers.items() if answer is not None}
