"""One session, several stacks: each comes up once, when it is asked for, and the other is closed first."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blackstart.drill.console import Progress
from blackstart.drill.stacks import Stacks
from blackstart.injection.stopping import Stops
from blackstart.model.errors import ConfigError, PlatformError, SteadyStateError
from blackstart.model.stack import Stack
from tests.faults.fakes import IMAGE, stack


@dataclass
class Sessions:
    """What is asked of stacks, written down; nothing is started. Stacks in `ill` do not come up."""

    said: list[str] = field(default_factory=list)
    ill: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)

    def open(self, declared: Stack, reports: Path, progress: Progress, **told: Any) -> Session:
        return Session(self, declared, reports, **told)


@dataclass
class Session:
    """In place of a StackSession."""

    sessions: Sessions
    stack: Stack
    reports: Path
    keep: bool
    stops: Stops
    run_id: str
    report_id: str
    started_s: float = 0.0

    def __enter__(self) -> Session:
        self.sessions.said.append(f"{self.stack.name} up")
        if self.stack.name in self.sessions.ill:
            raise SteadyStateError(f"{self.stack.name} is ill")
        self.started_s = 10.0
        return self

    def __exit__(self, *_: object) -> None:
        self.sessions.said.append(f"{self.stack.name} down")
        if self.stack.name in self.sessions.stuck:
            raise PlatformError(f"{self.stack.name} is stuck")


def declared(root: Path, name: str = "") -> Stack:
    """What the project declares: a first stack, and others of these names."""
    if name not in ("", "other", "third"):
        raise ConfigError(f"no stack {name!r}")
    return Stack(name or "first", IMAGE, stack().instances, secrets=("shared", f"of-{name or 'first'}"))


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    made = Sessions()
    monkeypatch.setattr("blackstart.drill.stacks.StackSession", made.open)
    monkeypatch.setattr("blackstart.drill.stacks.load_stack", declared)
    return made


def stacks(tmp_path: Path, keep: str | None = None) -> Stacks:
    return Stacks(tmp_path, tmp_path / "reports", Progress(), Stops(tmp_path / "reports"), keep)


def test_a_stack_comes_up_when_it_is_asked_for_and_the_other_is_closed_first(
    sessions: Sessions, tmp_path: Path
) -> None:
    held = stacks(tmp_path)
    assert sessions.said == [], "nothing starts before a drill asks"
    first = held.use()
    assert held.use("") is first
    other = held.use("other")
    assert held.use("other") is other
    assert other.stack.name == "other"
    held.close()
    assert sessions.said == ["first up", "first down", "other up", "other down"]
    held.close()
    assert len(sessions.said) == 4, "what is closed is not closed again"


def test_one_asked_for_again_comes_up_anew(sessions: Sessions, tmp_path: Path) -> None:
    held = stacks(tmp_path)
    runs = [held.use(name).run_id for name in ("", "other", "")]
    assert sessions.said == ["first up", "first down", "other up", "other down", "first up"]
    assert len(set(runs)) == 3


def test_they_share_the_folder_of_reports_the_stop_and_the_secrets(
    sessions: Sessions, tmp_path: Path
) -> None:
    held = stacks(tmp_path)
    first, other = held.use(), held.use("other")
    assert first.report_id == other.report_id == held.report_id == held.folder.name
    assert first.run_id == held.report_id, "the first stack's run gives the folder its name"
    assert first.stops is other.stops is held.stops
    assert held.secrets == ("shared", "of-first", "of-other")
    assert held.started_s == 20.0


def test_only_the_stack_that_is_to_stay_is_kept(sessions: Sessions, tmp_path: Path) -> None:
    held = stacks(tmp_path, keep="other")
    assert [held.use(name).keep for name in ("", "other")] == [False, True]


def test_a_stack_that_did_not_come_up_is_not_tried_again_and_others_are(
    sessions: Sessions, tmp_path: Path
) -> None:
    sessions.ill.add("other")
    held = stacks(tmp_path)
    held.use()
    for _ in range(2):
        with pytest.raises(SteadyStateError, match="other is ill"):
            held.use("other")
    assert held.use("third").stack.name == "third"
    held.close()
    assert sessions.said == ["first up", "first down", "other up", "third up", "third down"]


def test_an_unknown_name_closes_nothing(sessions: Sessions, tmp_path: Path) -> None:
    held = stacks(tmp_path)
    held.use()
    with pytest.raises(ConfigError, match="no stack 'ohter'"):
        held.use("ohter")
    assert sessions.said == ["first up"]


def test_trouble_in_closing_one_does_not_hit_the_drills_of_the_next(
    sessions: Sessions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions.stuck.add("first")
    held = stacks(tmp_path)
    held.use()
    assert held.use("other").stack.name == "other"
    assert "first is stuck" in capsys.readouterr().err
    with pytest.raises(PlatformError, match="first is stuck"):
        held.close()
    assert sessions.said[-1] == "other down"
