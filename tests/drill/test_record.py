"""What a trial keeps of the services' logs, and what its events say that it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from blackstart.drill import trial
from blackstart.drill.record import keep_logs, trial_event
from blackstart.drill.session import StackSession
from blackstart.drill.trial import Drill
from blackstart.history.spans import read_spans
from blackstart.model.errors import PlatformError, SteadyStateError
from blackstart.model.experiment import Control, Experiment, Role
from blackstart.model.objectives import Objectives
from blackstart.platforms.capabilities import Moment
from blackstart.stack.running import RunningStack

SECRET = "a-secret-of-the-stack"
SPAN = {"span": "GET /", "trace_id": "t1", "span_id": "s1", "begin_ns": 5, "end_ns": 9}


@dataclass
class Logs:
    """What each container wrote."""

    texts: dict[str, str]

    def logs(self, name: str, since: Moment | None = None) -> str:
        """As HasLogs."""
        assert since is not None
        if not self.texts[name]:
            raise PlatformError(f"{name} is gone")
        return self.texts[name]


def running(texts: dict[str, str]) -> RunningStack:
    instances = [SimpleNamespace(name=name.removeprefix("bs-")) for name in texts]
    stack = SimpleNamespace(instances=instances, secrets=(SECRET,))
    return cast(RunningStack, SimpleNamespace(stack=stack, platform=Logs(texts), container="bs-{}".format))


def test_logs_are_kept_without_secrets_and_the_spans_in_them_in_a_file_of_their_own(tmp_path: Path) -> None:
    texts = {
        "bs-app-1": f"started with {SECRET}\n{json.dumps(SPAN)}\n",
        "bs-app-2": json.dumps({**SPAN, "span_id": "s2", "node": "app-2", "said": SECRET}) + "\n",
    }
    keep_logs(running(texts), tmp_path, datetime.now(UTC))
    assert (tmp_path / "logs" / "app-1.log").read_text().startswith("started with [redacted]\n")
    assert read_spans(tmp_path / "spans.jsonl") == [
        {**SPAN, "node": "app-1"},
        {**SPAN, "span_id": "s2", "node": "app-2", "said": "[redacted]"},
    ]


class Troubled:
    """In place of an Attempt: its stack never becomes well."""

    def __init__(self, _: Drill, folder: Path, __: Random) -> None:
        self.folder = folder
        self.notes: list[str] = []

    def execute(self, _: object) -> None:
        self.folder.mkdir(parents=True)
        raise SteadyStateError("the stack is ill")


def test_trouble_of_the_harness_leaves_what_the_containers_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "Attempt", Troubled)
    said: list[str] = []
    session = SimpleNamespace(
        folder=tmp_path,
        running=running({"bs-etcd-1": "", "bs-pg-1": "why it is ill"}),
        progress=SimpleNamespace(say=said.append),
    )
    spec = Experiment("one.name", "All is well.", "page", Objectives(lost=0), (Control("weak", "lost"),))
    drill = Drill(cast(StackSession, session), spec, Role.DRILL, trial=1, seed=1)
    with pytest.raises(SteadyStateError, match="ill"):
        drill.run(lambda _: None)
    logs = tmp_path / "one.name" / "trial-1" / "logs"
    assert (logs / "pg-1.log").read_text() == "why it is ill"
    assert (logs / "etcd-1.log").read_text() == "no log: bs-etcd-1 is gone\n"
    assert said == [f"no verdict; what the containers logged is in {logs}"]


def test_the_events_say_which_trial_it_is_and_what_it_is_to_show() -> None:
    control = Control(variant="weak", breaks="lost", at="restore")
    spec = Experiment("one.name", f"All is well, but {SECRET}.", "page", Objectives(lost=0), (control,))
    stack = SimpleNamespace(secrets=(SECRET,))
    drill = SimpleNamespace(
        experiment=spec,
        control=control,
        role=Role.CONTROL,
        trial=2,
        session=SimpleNamespace(running=SimpleNamespace(stack=stack)),
    )
    assert trial_event(cast(Drill, drill), datetime(2026, 1, 15, 9, 30, tzinfo=UTC)) == {
        "role": "control",
        "number": 2,
        "experiment": "one.name",
        "hypothesis": "All is well, but [redacted].",
        "controls": ["weak"],
        "expects_alert": None,
        "started": "2026-01-15T09:30:00+00:00",
        "variant": "weak",
        "breaks": "lost",
        "at": "restore",
    }
