"""Rolling restart: the instances of a service restart one after the other, as in a deployment."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Unpack

from blackstart.faults import _helpers
from blackstart.faults._containers import containers, down, on_each
from blackstart.faults._inside import run
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.model.durations import Duration, human, seconds
from blackstart.model.errors import BiteError, ConfigError, InjectionError
from blackstart.model.modes import Mode
from blackstart.platforms.waiting import wait_until


@register
@dataclass(frozen=True)
class RollingRestart(Fault):
    """Stop and start each instance of `target` in turn; the next when this one is ready, as declared.

    An instance has `patience` to end after SIGTERM, then it is killed, and `ready_within` to be ready again;
    one that is not ends the restart with an InjectionError. The injection lasts as long as the whole restart.
    There is nothing to undo but to start what is down, and what was told to end and has not yet: a helper in
    it tells, so the images need `sh`, `setsid` and `pgrep`.
    """

    kind: ClassVar[str] = "rolling_restart"
    mode: ClassVar[Mode] = Mode.GONE
    capabilities: ClassVar[tuple[str, ...]] = ("stop", "kill", "exec")
    lasts: ClassVar[bool] = False

    target: str
    patience: Duration = "10s"
    ready_within: Duration = "20s"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= seconds(self.patience) <= 60:
            raise ConfigError(f"patience {self.patience}: valid are 1 s to 60 s")
        seconds(self.ready_within)

    def plan(self, site: Site) -> Undo:
        """Records when each was last started; ConfigError if all of them may take too long together."""
        names = containers(site, self.target)
        worst_s = len(names) * (seconds(self.patience) + seconds(self.ready_within))
        if worst_s >= seconds(self.max_duration):
            raise ConfigError(
                f"the restart of {len(names)} instances may take {human(worst_s)}, and max_duration is "
                f"{self.max_duration!r}: raise that, or shorten patience or ready_within"
            )
        id = fresh_id()
        data = {
            "mark": _helpers.tagged(self.kind, id),
            "instances": [i.name for i in site.resolve(self.target)],
            "started": {name: site.platform.started(name) for name in names},
        }
        return Undo(self.kind, site.run_id, names, data, f"docker start {shlex.join(names)}", id=id)

    def inject(self, site: Site, undo: Undo) -> None:
        """Returns once the last one is ready."""
        for instance, name in zip(undo.data["instances"], undo.targets, strict=True):
            # It ends with the container: while it is there, the container is about to.
            run(site.platform, name, _helpers.starting(undo.data["mark"], "sleep 600; :"))
            site.platform.stop(name, seconds(self.patience))
            site.platform.start(name)
            wait_until(
                f"{instance} to be ready after its restart",
                partial(_unready, site, instance),
                limit=self.ready_within,
                error=InjectionError,
            )

    def bite(self, site: Site, undo: Undo) -> str:
        """Each was started later than it had been."""
        for name, before in undo.data["started"].items():
            if site.platform.started(name) == before:
                raise BiteError(f"{name} was not started anew")
        return f"restarted in turn: {', '.join(undo.data['instances'])}"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Start what is down; kill first what is about to end."""

        def again(name: str) -> None:
            if _ending(platform, name, undo):
                platform.kill(name)
            platform.start(name)

        on_each(undo.targets, again)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """See Fault.undone."""
        ending = [name for name in undo.targets if _ending(platform, name, undo)]
        return down(undo.targets, platform) or (f"about to end: {', '.join(ending)}" if ending else None)


def _ending(platform: Platform, name: str, undo: Undo) -> bool:
    return platform.is_running(name) and _helpers.there(platform, name, undo.data["mark"])


def _unready(site: Site, instance: str) -> str | None:
    """What the declared condition of an instance says is wrong; None where there is no condition."""
    condition = site.stack.instance(instance).ready
    return None if condition is None else condition.check(site, instance)


@constructor
def rolling_restart(
    target: str, patience: Duration = "10s", ready_within: Duration = "20s", **options: Unpack[Options]
) -> RollingRestart:
    """Restart a service one instance after the other: `rolling_restart("app")`."""
    return RollingRestart(target, patience, ready_within, **options)
