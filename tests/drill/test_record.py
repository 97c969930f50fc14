"""What a trial keeps of the services' logs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from blackstart.drill.record import keep_logs
from blackstart.history.spans import read_spans
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
