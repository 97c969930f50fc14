"""What a trial keeps of the services' logs, and what its events say that it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from blackstart.drill.record import keep_logs, trial_event
from blackstart.drill.trial import Drill
from blackstart.history.spans import read_spans
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
        return self.texts[name]


def test_logs_are_kept_without_secrets_and_the_spans_in_them_in_a_file_of_their_own(tmp_path: Path) -> None:
    texts = {
        "bs-app-1": f"started with {SECRET}\n{json.dumps(SPAN)}\n",
        "bs-app-2": json.dumps({**SPAN, "span_id": "s2", "node": "app-2", "said": SECRET}) + "\n",
    }
    instances = [SimpleNamespace(name="app-1"), SimpleNamespace(name="app-2")]
    stack = SimpleNamespace(instances=instances, secrets=(SECRET,))
    running = SimpleNamespace(stack=stack, platform=Logs(texts), container="bs-{}".format)
    keep_logs(cast(RunningStack, running), tmp_path, datetime.now(UTC))
    assert (tmp_path / "logs" / "app-1.log").read_text().startswith("started with [redacted]\n")
    assert read_spans(tmp_path / "spans.jsonl") == [
        {**SPAN, "node": "app-1"},
        {**SPAN, "span_id": "s2", "node": "app-2", "said": "[redacted]"},
    ]


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
