"""The steps of runbooks that a drill followed: how each went, and whether it went as it must; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from blackstart.history.records import Events
from blackstart.measure.judge import Finding
from blackstart.model.durations import human
from blackstart.model.recovery import EXIT, LIMIT, STOP
from blackstart.model.verdict import Verdict

#: Of a step's last line so much is told.
_WORDS = 200


@dataclass(frozen=True, slots=True)
class RunbookStep:
    """A step as the events tell it; `begin` and `end` in ns since the start.

    `phase` is "" where it has none. `fails`: what it has to say when it fails, as it must; "" if it must not.
    `end` is None if none was recorded, `exit` if the step was ended from outside; `cut` tells how (EXIT,
    LIMIT, STOP). `output` is the last of what it said. `limit_s` is what all steps together were given.
    `sha256` is the hash of its code as it was followed, in hex; "" where none was recorded.
    """

    runbook: str
    name: str
    phase: str
    fails: str
    begin: int
    end: int | None = None
    exit: int | None = None
    output: str = ""
    cut: str = ""
    limit_s: float = 0.0
    sha256: str = ""

    @property
    def seconds(self) -> float:
        """How long it took; 0 if its end is not known."""
        return 0.0 if self.end is None else (self.end - self.begin) / 1e9

    @property
    def late(self) -> bool:
        """Whether its time was over before it was done."""
        return self.cut == LIMIT

    @property
    def unended(self) -> bool:
        """Whether nobody can say how it would have ended."""
        return self.end is None or self.cut == STOP

    @property
    def loud(self) -> bool:
        """Whether it failed and said what it had to say."""
        return bool(self.exit) and self.fails in self.output

    @property
    def wrong(self) -> str:
        """What is not as it must be, in words; "" if all is."""
        where = f"{self.runbook}: {self.name}"
        if self.unended:
            return f"{where} was stopped"
        if self.late:
            return f"{where} was not done within {human(self.limit_s)}"
        if self.cut == EXIT:
            return f"{where} ended the shell, so that the steps after it were not done"
        if self.fails and not self.exit:
            return f"{where} went well, and had to fail with {self.fails!r}"
        if self.fails and not self.loud:
            return f"{where} failed (exit {self.exit}) without saying {self.fails!r}{self._last}"
        if self.exit and not self.fails:
            return f"{where} failed (exit {self.exit}){self._last}"
        return ""

    @property
    def _last(self) -> str:
        said = self.output.strip().splitlines()
        return f": {said[-1].strip()[:_WORDS]}" if said else ""


def steps_of(lines: Iterable[Mapping[str, Any]]) -> list[RunbookStep]:
    """The steps in order; an end belongs to the last begin of the same step that has none yet."""
    found: list[RunbookStep] = []
    for line in lines:
        if line.get("source") != "runbook":
            continue
        runbook, name = str(line.get("runbook")), str(line.get("step"))
        if line.get("event") == "begin":
            phase, fails = str(line.get("phase") or ""), str(line.get("fails") or "")
            digest = str(line.get("sha256") or "")
            found.append(RunbookStep(runbook, name, phase, fails, int(line["time"]), sha256=digest))
        elif line.get("event") == "end":
            open_ = [n for n, s in enumerate(found) if (s.runbook, s.name, s.end) == (runbook, name, None)]
            for n in open_[-1:]:
                found[n] = _ended(found[n], line)
    return found


def _ended(step: RunbookStep, line: Mapping[str, Any]) -> RunbookStep:
    status, limit_s = line.get("exit"), line.get("limit_s")
    return replace(
        step,
        end=int(line["time"]),
        exit=status if isinstance(status, int) else None,
        output=str(line.get("output") or ""),
        cut=str(line.get("cut") or ""),
        limit_s=float(limit_s) if isinstance(limit_s, int | float) else 0.0,
    )


def runbook_findings(events: Events) -> list[Finding]:
    """Whether each step ended as it must; none where no runbook was followed.

    `runbook` stands whatever the gates say; `runbook in time` is for steps whose time was over.
    """
    steps = steps_of(events.lines)
    if not steps:
        return []
    failed = [s.wrong for s in steps if s.wrong and not s.late and not s.unended]
    stopped = [s.wrong for s in steps if s.unended]
    late = [s.wrong for s in steps if s.late]
    verdict = Verdict.FAIL if failed else Verdict.UNKNOWN if stopped else Verdict.PASS
    text = "; ".join((*failed, *stopped)) or f"every step ended as it must ({len(steps)})"
    found = []
    if failed or stopped or not late:
        found.append(Finding("runbook", None, text, verdict))
    if late:
        found.append(Finding("runbook in time", None, "; ".join(late), Verdict.FAIL))
    return found


def weakness_finding(events: Events, at: str) -> list[Finding]:
    """Whether a control went wrong where it was to; none where no runbook was followed.

    `at` names the step that must be the first to go wrong; "" if none must. Otherwise an objective may have
    broken because of another mistake: whatever stops a recovery loses data.
    """
    steps = steps_of(events.lines)
    if not steps and not at:
        return []
    wrong = next((step for step in steps if step.wrong), None)
    text = wrong.wrong if wrong else "no step went wrong"
    verdict = Verdict.PASS if (wrong.name if wrong else "") == at else Verdict.UNKNOWN
    return [Finding("weakness", at or None, text, verdict)]
