"""Event sources and role resolvers: what the components say, beside what clients saw."""

from blackstart.observe.alerts import AlertSource
from blackstart.observe.breakers import BreakerSource
from blackstart.observe.containers import ContainerSource
from blackstart.observe.haproxy import HAProxySource
from blackstart.observe.patroni import PatroniSource
from blackstart.observe.roles import PatroniRoles, RoleResolver, SentinelRoles
from blackstart.observe.sentinel import SentinelSource
from blackstart.observe.source import Source
from blackstart.observe.until import promoted

__all__ = [
    "AlertSource",
    "BreakerSource",
    "ContainerSource",
    "HAProxySource",
    "PatroniRoles",
    "PatroniSource",
    "RoleResolver",
    "SentinelRoles",
    "SentinelSource",
    "Source",
    "promoted",
]
