"""One running stack, as long as drills need it: lock, heal, images, start, watch, removal."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from blackstart.drill import kept
from blackstart.drill.console import Progress
from blackstart.injection.heal import heal
from blackstart.injection.lock import StackLock
from blackstart.injection.stopping import Stops
from blackstart.injection.watchdog import Watchdog
from blackstart.model.durations import human
from blackstart.model.errors import ConfigError, HarnessError
from blackstart.model.stack import Stack
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.engine import check_room, connect
from blackstart.stack.images import ensure_images
from blackstart.stack.provision import down, steady, up
from blackstart.stack.running import RunningStack

#: At most this long from built images to steady state, beyond which the run is an error.
STEADY_LIMIT = "90s"


def new_run_id() -> str:
    """A fresh run id, sortable by time: `20260102-030405-9f3a`."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def supported(platform: str) -> None:
    """Raise ConfigError unless `platform` names one that this version drives."""
    if platform != "docker":
        raise ConfigError(f"unknown platform {platform!r}; known: docker")


@dataclass
class StackSession:
    """A stack in its steady state, locked for this process; use as a context manager.

    `stops` is what may end the run (default: the file STOP in `reports`); `report_id` names the folder in
    which it writes (default: its run id). Raises LockHeld while another live run uses the stack,
    PlatformError without a Docker engine, ImageError, ProvisionError, SteadyStateError.
    """

    stack: Stack
    reports: Path
    progress: Progress
    keep: bool = False
    stops: Stops | None = None
    run_id: str = field(default_factory=new_run_id)
    report_id: str = ""
    started_s: float = 0.0
    _running: RunningStack | None = None
    _platform: DockerPlatform | None = None
    _undo: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stops = self.stops or Stops(self.reports)
        self.stop, self.stop_conditions = self._stops.stop, self._stops.conditions

    def spend(self, operations: int) -> None:
        """Count operations that a drill has cost the clients, against the error budget."""
        self._stops.spend(operations)

    @property
    def running(self) -> RunningStack:
        """The stack that is up."""
        if self._running is None:
            raise ConfigError("the stack session is not open")
        return self._running

    @property
    def platform(self) -> DockerPlatform:
        """The platform that it runs on."""
        if self._platform is None:
            raise ConfigError("the stack session is not open")
        return self._platform

    @property
    def folder(self) -> Path:
        """Where this run writes; a stack that is kept serves several runs, and a run may need several."""
        return self.reports / self.report_id

    def __enter__(self) -> StackSession:
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _open(self) -> None:
        say = self.progress.say
        self._stops.file.refuse()
        self._platform = DockerPlatform(connect())
        lock = StackLock(self.stack.name)
        lock.acquire()
        self._undo.append(lock.release)
        for line in heal().lines:
            say(line)
        self.report_id = self.report_id or self.run_id
        tags = ensure_images(self.stack.images(), progress=say)
        for name, run_id in kept.others(self.stack, self._platform).items():
            say(f"stack {name!r} is up as well and stays; `blackstart down {run_id}` removes it")
        found = kept.find(self.stack, self._platform, tags)
        if found is not None:
            self.run_id, self.keep = found.run_id, True
            say(f"using the stack of run {found.run_id} that `blackstart up` left running")
        else:
            check_room(self.stack.memory_mib, self.stack.disk_mib)
        self.folder.mkdir(parents=True, exist_ok=True)
        # A stack that is to be kept is removed all the same if it does not get steady.
        watchdog = Watchdog.start(self.run_id, remove_stack=found is None, engine=self._platform.engine_id())
        self._undo.append(watchdog.done)
        begin = time.monotonic()
        if found is not None:
            self._running = found
        else:
            size = len(self.stack.instances)
            say(f"starting stack {self.stack.name!r}, {size} instances, run {self.run_id}")
            self._undo.append(self._remove)
            self._running = up(self.stack, self.run_id, self._platform, tags, say)
        steady(self._running, STEADY_LIMIT)
        self.started_s = time.monotonic() - begin
        say(f"steady state after {human(self.started_s)}")
        if self.keep and found is None:
            kept.remember(self._running, tags)
            self._undo.remove(self._remove)
            watchdog.keep_stack()

    def _remove(self) -> None:
        self.progress.say("removing the stack")
        down(self.run_id, self.platform)

    def _close(self) -> None:
        # Newest first: the stack goes before its watchdog is told that all is well, the lock goes last.
        errors: list[Exception] = []
        while self._undo:
            step = self._undo.pop()
            try:
                step()
            except Exception as error:  # noqa: BLE001 - every further step must still run; raised below
                errors.append(error)
        if errors:
            group = ExceptionGroup("the session could not be closed cleanly", errors)
            if not all(isinstance(error, HarnessError) for error in errors):
                raise group
            raise HarnessError("\n  ".join([f"{group.message}:", *map(str, errors)])) from group
