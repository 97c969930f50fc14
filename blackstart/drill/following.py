"""Following a runbook: its steps done as it says, each recorded, and judged from what is recorded."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from blackstart.measure.followed import RunbookStep, steps_of
from blackstart.model.errors import ConfigError, LoadError, RunbookFailed
from blackstart.model.experiment import Role
from blackstart.model.recovery import LIMIT
from blackstart.report.redact import redact
from blackstart.runbook.parse import Block, read_runbook
from blackstart.runbook.shell import Done, Shell

if TYPE_CHECKING:
    from blackstart.drill.attempt import Attempt

NO_ENV: Mapping[str, str] = MappingProxyType({})
#: Of what a step says the events hold the last so many lines and characters.
LINES, CHARACTERS = 60, 8000
#: Not handed down: what a shell would read before the first step, and another engine than the drill's.
_LEFT_OUT = ("BASH_ENV", "ENV", "DOCKER_CONTEXT")


@dataclass(frozen=True)
class Followed:
    """What came of following `runbook`: the steps that were begun, in order.

    `ran` is False in a placebo, where every step is as if it had ended well and said nothing.
    """

    runbook: str
    steps: tuple[RunbookStep, ...]
    ran: bool = True

    @property
    def exit(self) -> int | None:
        """The last step's exit status; None if it was ended from outside."""
        return self.steps[-1].exit

    @property
    def output(self) -> str:
        """The last of what the last step said, without secrets."""
        return self.steps[-1].output

    @property
    def wrong(self) -> str:
        """What did not end as it must, in words; "" if all did."""
        return "; ".join(step.wrong for step in self.steps if step.wrong)

    def of(self, step: str) -> RunbookStep:
        """The step of this name; ConfigError if it was not begun."""
        for each in self.steps:
            if each.name == step:
                return each
        begun = ", ".join(each.name for each in self.steps)
        raise ConfigError(f"{self.runbook}: step {step!r} was not begun; begun were: {begun}")


class Follower:
    """Follows one runbook in one attempt, in the thread of its body."""

    def __init__(self, attempt: Attempt, runbook: str, steps: Sequence[str], fails: str = "") -> None:
        self._attempt, self._runbook, self._fails = attempt, runbook, fails
        if attempt.drill.runbook is None:
            raise ConfigError("the drill knows of no folder of runbooks")
        self._folder = attempt.drill.runbook.parent
        self._blocks = read_runbook(self._folder / f"{runbook}.md").steps(*steps)
        self._lines: list[dict[str, Any]] = []
        self._begins, self._limit_s = 0, 0.0

    def follow(self, env: Mapping[str, str], limit_s: float, check: bool) -> Followed:
        """See Drill.follow."""
        attempt, names = self._attempt, [block.name for block in self._blocks]
        if attempt.role is Role.PLACEBO:
            attempt.notes.append(f"placebo: not followed: {self._runbook}: {', '.join(names)}")
            well = (RunbookStep(self._runbook, b.name, b.phase, "", 0, 0, 0) for b in self._blocks)
            return Followed(self._runbook, tuple(well), ran=False)
        self._limit_s = limit_s
        attempt.session.progress.say(f"following {self._runbook}: {', '.join(names)}")
        attempt.schedule.append({"action": "follow", "runbook": self._runbook, "steps": names})
        Shell(self._blocks, self._begun, self._ended, self._look).run(
            self._folder.parent, self._environment(env), limit_s
        )
        followed = Followed(self._runbook, tuple(steps_of(self._lines)))
        # Undetected is what ended well: who failed in other words, or not in time, is judged as a step.
        if self._fails and len(followed.steps) == len(names) and followed.exit is not None:
            attempt.undetected += followed.exit == 0
            attempt.count("undetected", attempt.undetected)
        if check and followed.wrong:
            raise RunbookFailed(followed.wrong)
        return followed

    def _environment(self, env: Mapping[str, str]) -> dict[str, str]:
        # Here, since a plan, which follows nothing, loads no Docker.
        from blackstart.platforms.engine import endpoint

        inherited = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
        # A page may use the command `blackstart`: that of this very Python, which may not be on the PATH.
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        own = {"PATH": path, "DOCKER_HOST": endpoint()}
        return {**inherited, **own, **env, "RUN": self._attempt.running.run_id}

    def _begun(self, block: Block) -> None:
        self._begins += 1
        last = self._begins == len(self._blocks)
        self._attempt.session.progress.say(f"{self._runbook}: {block.name}")
        fails = {"fails": self._fails} if self._fails and last else {}
        self._record("begin", block, sha256=block.digest, **fails)

    def _ended(self, done: Done) -> None:
        cut: dict[str, Any] = {"cut": done.cut} if done.cut else {}
        if done.cut == LIMIT:
            cut["limit_s"] = self._limit_s
        output = last_of(done.output, self._attempt.running.stack.secrets)
        self._record("end", done.block, exit=done.exit, output=output, **cut)

    def _record(self, event: str, block: Block, **told: Any) -> None:
        line = {"runbook": self._runbook, "step": block.name, "phase": block.phase or None, **told}
        time = self._attempt.events.write("runbook", event, **line)
        self._lines.append({"time": time, "source": "runbook", "event": event, **line})

    def _look(self) -> None:
        self._attempt.stop.wait(0)
        if not self._attempt.load.alive:
            raise LoadError("the load client ended in the middle of the drill")


def last_of(output: str, secrets: Iterable[str]) -> str:
    """The last lines of what a step said, without secrets: at most LINES, at most CHARACTERS."""
    text = "\n".join(redact(output, secrets).rstrip().splitlines()[-LINES:])
    return text if len(text) <= CHARACTERS else f"… {text[-CHARACTERS:]}"
