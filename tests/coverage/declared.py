"""A stack to map: a front before two apps, a cache with roles, one database that all depend on."""

from __future__ import annotations

from pathlib import Path

from blackstart.model.stack import Image, Instance, Stack
from tests.faults.fakes import FixedRoles

IMAGE = Image("none", Path())


def instance(name: str, service: str, *calls: str, plays: tuple[str, ...] = ()) -> Instance:
    return Instance(name, service, IMAGE, {"http": 80}, calls=calls, publish=("http",), plays=plays)


STACK = Stack(
    "mapped",
    IMAGE,
    (
        instance("db-1", "db"),
        instance("cache-1", "cache", "cache-2"),
        instance("cache-2", "cache", "cache-1"),
        instance("model-1", "model", plays=("llm",)),
        instance("model-2", "model", plays=("llm",)),
        instance("app-1", "app", "db-1", "cache-1", "cache-2", "model-1", "model-2"),
        instance("app-2", "app", "db-1", "cache-1", "cache-2", "model-1", "model-2"),
        instance("front-1", "front", "app-1", "app-2"),
        instance("aside-1", "aside"),
    ),
    roles={"cache": FixedRoles({})},
)
