"""What the faults on containers share: which they are, all at once, and up again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

from blackstart.faults.base import Fault, Platform, Site, Undo
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError, HarnessError, InjectionError, PlatformError
from blackstart.model.modes import Mode


def containers(site: Site, target: str, otherwise: str = "nothing can be done inside it") -> tuple[str, ...]:
    """The service containers that `target` means now; InjectionError if one does not run, or is frozen."""
    names = tuple(site.container(i.name) for i in site.resolve(target))
    refuse_down(site.platform, names, otherwise)
    return names


def refuse_down(platform: Platform, names: Sequence[str], otherwise: str) -> None:
    """InjectionError, ending in `otherwise`, if one is down or frozen: its undo would not be ours."""
    for name in names:
        if not platform.is_running(name) or platform.is_paused(name):
            raise InjectionError(f"{name} is down or frozen already: {otherwise}")


def at_once(names: Sequence[str], act: Callable[[str], object]) -> None:
    """`act` on all names at once; raises what the first one raised, once all have ended."""
    with ThreadPoolExecutor(len(names), thread_name_prefix="containers") as pool:
        jobs = [pool.submit(act, name) for name in names]
    for job in jobs:
        job.result()


def on_each(names: Iterable[str], act: Callable[[str], object]) -> None:
    """`act` on one after the other; one where it fails does not keep it from the rest. PlatformError then."""
    errors = []
    for name in names:
        try:
            act(name)
        except HarnessError as error:
            errors.append(str(error))
    if errors:
        raise PlatformError("; ".join(errors))


def start_again(names: Iterable[str], platform: Platform) -> None:
    """Start those that are down."""

    def start(name: str) -> None:
        if not platform.is_running(name):
            platform.start(name)

    on_each(names, start)


def let_go_on(names: Iterable[str], platform: Platform) -> None:
    """Let those go on that are frozen."""

    def unpause(name: str) -> None:
        if platform.is_paused(name):
            platform.unpause(name)

    on_each(names, unpause)


def down(names: Sequence[str], platform: Platform) -> str | None:
    """Which are down, in words; None if none is."""
    found = [name for name in names if not platform.is_running(name)]
    return f"down: {', '.join(found)}" if found else None


def kill_without(process: str, names: Sequence[str], platform: Platform) -> None:
    """Kill those that run without `process`, which nobody in them brings back: a start will."""

    def look(name: str) -> None:
        if platform.is_running(name) and not platform.pids(name, process):
            platform.kill(name)

    on_each(names, look)


@dataclass(frozen=True)
class EndedFault(Fault):
    """The containers of `target` end by SIGTERM, and by SIGKILL after `timeout` (whole seconds)."""

    mode: ClassVar[Mode] = Mode.GONE
    takes_out: ClassVar[bool] = True
    holds_down: ClassVar[bool] = True
    capabilities: ClassVar[tuple[str, ...]] = ("kill", "pause", "stop")
    grace: ClassVar[float] = 10.0

    target: str
    timeout: Duration = "10s"

    def __post_init__(self) -> None:
        super().__post_init__()
        if seconds(self.timeout) >= seconds(self.max_duration):
            raise ConfigError(f"timeout {self.timeout!r} is not below max_duration {self.max_duration!r}")

    def plan(self, site: Site) -> Undo:
        """Notes which life each is in; InjectionError if one does not run."""
        names = containers(site, self.target, f"there is nothing to {self.kind}")
        lives = {name: site.platform.started(name) for name in names}
        return Undo(
            self.kind, site.run_id, names, {"lives": lives}, f"docker restart -t 0 {shlex.join(names)}"
        )

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Start those that are down; kill first what may be about to end, for it still is in its old life."""

        def again(name: str) -> None:
            if platform.started(name) == undo.data["lives"][name]:
                platform.kill(name)
            platform.start(name)

        on_each(undo.targets, again)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        old = [name for name, life in undo.data["lives"].items() if platform.started(name) == life]
        return down(undo.targets, platform) or (f"about to end: {', '.join(old)}" if old else None)
