"""What the faults share that take containers down: their names, all at once, and up again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from blackstart.faults.base import Platform, Site
from blackstart.model.errors import InjectionError


def containers(site: Site, target: str, what: str) -> tuple[str, ...]:
    """The service containers of `target`; InjectionError if one does not run, or is frozen."""
    names = tuple(site.container(i.name) for i in site.resolve(target))
    for name in names:
        if not site.platform.is_running(name) or site.platform.is_paused(name):
            raise InjectionError(f"{name} is down or frozen already: there is nothing to {what}")
    return names


def at_once(names: Sequence[str], act: Callable[[str], object]) -> None:
    """`act` on all names at once; raises what the first one raised, once all have ended."""
    with ThreadPoolExecutor(len(names), thread_name_prefix="containers") as pool:
        jobs = [pool.submit(act, name) for name in names]
    for job in jobs:
        job.result()


def start_again(names: Sequence[str], platform: Platform) -> None:
    """Start those that are down."""
    for name in names:
        if not platform.is_running(name):
            platform.start(name)


def down(names: Sequence[str], platform: Platform) -> str | None:
    """Which are down, in words; None if none is."""
    found = [name for name in names if not platform.is_running(name)]
    return f"down: {', '.join(found)}" if found else None
