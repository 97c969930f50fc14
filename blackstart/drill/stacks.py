"""The stacks of a project in one pytest session: each is brought up when a drill needs it, one at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from blackstart.drill.console import Progress
from blackstart.drill.session import StackSession, new_run_id
from blackstart.injection.stopping import Stops
from blackstart.stack.declared import load_stack


@dataclass
class Stacks:
    """Holds the stack that is up; they share the folder of reports and what may end the run.

    `root` is the project's folder, `keep` the name of the stack that is to stay up, None for none.
    """

    root: Path
    reports: Path
    progress: Progress
    stops: Stops
    keep: str | None = None
    report_id: str = field(default_factory=new_run_id)
    _up: StackSession | None = None
    _name: str = ""
    _opened: list[StackSession] = field(default_factory=list)
    _failed: dict[str, Exception] = field(default_factory=dict)
    _left: list[Exception] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the run writes, whatever stack its drills are on."""
        return self.reports / self.report_id

    @property
    def started_s(self) -> float:
        """Seconds that all stacks together took to their steady states."""
        return sum(session.started_s for session in self._opened)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be in no report of the run."""
        return tuple(dict.fromkeys(secret for session in self._opened for secret in session.stack.secrets))

    def use(self, name: str = "") -> StackSession:
        """The stack `name` ("" for the project's first) in its steady state; another that was up is closed.

        A stack that did not come up once is not tried again: its error is raised anew. What goes wrong in
        closing the other is said, and raised by `close`: it is no trouble of the drill that asks for this.
        Raises ConfigError for an unknown name, and what a StackSession does.
        """
        if self._up is not None and self._name == name:
            return self._up
        if name in self._failed:
            raise self._failed[name]
        stack = load_stack(self.root, name)
        if (trouble := self._leave()) is not None:
            self.progress.say(str(trouble))
            self._left.append(trouble)
        session = StackSession(
            stack,
            self.reports,
            self.progress,
            keep=name == self.keep,
            stops=self.stops,
            run_id=new_run_id() if self._opened else self.report_id,
            report_id=self.report_id,
        )
        self._opened.append(session)
        try:
            session.__enter__()
        except Exception as error:
            self._failed[name] = error
            raise
        self._up, self._name = session, name
        return session

    def close(self) -> None:
        """Close the stack that is up. Raises what went wrong in that, else what had gone wrong before."""
        trouble = self._leave()
        if trouble is None and self._left:
            trouble = self._left[0]
        if trouble is not None:
            raise trouble

    def _leave(self) -> Exception | None:
        """Close what is up, if anything is. Interrupted in that, it is not forgotten: `close` goes on."""
        trouble = None
        if self._up is not None:
            try:
                self._up.__exit__(None, None, None)
            except Exception as error:  # noqa: BLE001 - told by the caller: the next stack is not to blame
                trouble = error
            self._up = None
        return trouble
