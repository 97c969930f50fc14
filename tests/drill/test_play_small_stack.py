"""A schedule on real containers: seen from outside, every fault is in force in its window and only there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests

from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.waiting import wait_for
from blackstart.schedule import read_run
from tests.drill.test_life_cycle import Run
from tests.smallproject.drills_small import PLAYED

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: How long after its undo a fault may still be felt: by a request under way, by a service that starts.
AFTER_S = 1.0
#: An undo takes this long at most, on a busy machine too; the drill itself ends later than that.
UNDONE_S = 4.0


@dataclass(frozen=True)
class Seen:
    """What one look found: began and ended when (monotonic s), the container's state, what web said."""

    begin_s: float
    end_s: float
    what: str


@dataclass
class Watch:
    """Looks at one thing, again and again, until told to stop."""

    look: Callable[[], str]
    seen: list[Seen] = field(default_factory=list)

    def run(self, over: threading.Event) -> None:
        while not over.wait(0.1):
            begin_s = time.monotonic()
            what = self.look()
            self.seen.append(Seen(begin_s, time.monotonic(), what))


@contextmanager
def watching(*watches: Watch) -> Iterator[None]:
    over = threading.Event()
    with ThreadPoolExecutor(len(watches)) as pool:
        running = [pool.submit(watch.run, over) for watch in watches]
        try:
            yield
        finally:
            over.set()
            for each in running:
                each.result()


def state(platform: DockerPlatform, name: str) -> Callable[[], str]:
    """The state of a container, by the engine's word."""
    return lambda: next((c.status for c in platform.list() if c.name == name), "removed")


def answer(url: str) -> Callable[[], str]:
    """How the web service answers: `200`, `200 slow`, `503`, or nothing."""

    def ask() -> str:
        began = time.monotonic()
        try:
            status = requests.get(url, timeout=5).status_code
        except requests.RequestException:
            return "nothing"
        return f"{status} slow" if status == 200 and time.monotonic() - began > 0.45 else str(status)

    return ask


def windows(run: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, list[tuple[float, float, float]]]:
    """By name: when it began to act, when its undo began and when it was over, in seconds of the run.

    The n-th injection of the schedule is the n-th that bit.
    """
    (play,) = (entry for entry in run["schedule"] if entry["action"] == "play")
    bites = [e["time"] / 1e9 for e in events if (e["source"], e["event"]) == ("injection", "bite")]
    steps = [entry for entry in run["schedule"] if "planned_s" in entry]
    injected = [s for s in steps if s["action"] == "inject"]
    found: dict[str, list[tuple[float, float, float]]] = {}
    for step, bite_s, record in zip(injected, bites, run["faults"], strict=True):
        assert record["fault"] == step["fault"]
        undos = [s["actual_s"] for s in steps if (s["action"], s.get("name")) == ("undo", step["name"])]
        window = (bite_s, play["at_s"] + undos[0], record["end_s"])
        assert play["at_s"] + step["planned_s"] <= bite_s, "never too early"
        assert 0 <= window[2] - window[1] < UNDONE_S, "undone when it was to be"
        found.setdefault(step["name"], []).append(window)
    return found


def test_each_fault_is_in_force_in_its_window_and_nothing_is_left(
    tmp_path: Path, platform: DockerPlatform
) -> None:
    run = Run(tmp_path, "test_schedule_played")
    try:
        wait_for("the load to run", lambda: _clock(run), limit="120s")
        web_1 = f"bs-{run.run_id}-web-1"
        port = platform.bindings(f"bs-{run.run_id}-web-2-net")[8080]
        container = Watch(state(platform, web_1))
        service = Watch(answer(f"http://127.0.0.1:{port}/health/ready"))
        with watching(container, service):
            wait_for("the play to be over", lambda: _over(run), limit="120s")
        code, out = run.finish()
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.communicate()
        platform.remove_run(run.run_id)
    assert code == 0, out

    told = json.loads((run.trial() / "run.json").read_text())
    events = [json.loads(line) for line in (run.trial() / "events.jsonl").read_text().splitlines()]
    start_s = _clock(run)
    assert start_s is not None
    found = windows(told, events)
    assert set(found) == {"cut", "dead", "slow", "frozen", "cut again"}
    for name, watch, what in (
        ("cut", service, "503"),
        ("dead", container, "exited"),
        ("slow", service, "200 slow"),
        ("frozen", container, "paused"),
        ("cut again", service, "503"),
    ):
        ((bite_s, undo_s, _),) = found[name]
        inside = [s.what for s in watch.seen if s.begin_s > start_s + bite_s and s.end_s < start_s + undo_s]
        assert len(inside) >= 2, f"{name}: hardly looked at"
        assert set(inside) == {what}, name
    in_force = [window for each in found.values() for window in each]
    for watch, well in ((container, "running"), (service, "200")):
        outside = [
            s.what
            for s in watch.seen
            if all(
                s.end_s < start_s + begin_s - AFTER_S or s.begin_s > start_s + end_s + AFTER_S
                for begin_s, _, end_s in in_force
            )
        ]
        assert len(outside) >= 2
        # A fault in force slows every look; the host may hold up one.
        assert set(outside) - {f"{well} slow"} == {well}
        assert (f"{well} slow",) * 2 not in pairwise(outside), "slow without its fault"
    assert [s.what for s in container.seen][-1] == "running"

    assert all(record["end_s"] is not None and not record.get("expired") for record in told["faults"])
    assert platform.list(run.run_id) == []
    assert read_run(run.trial()).compile() == PLAYED.compile(), "what was done can be done again"


def _clock(run: Run) -> float | None:
    """The run's time 0 on the monotonic clock, once the history has begun."""
    try:
        with (run.trial() / "history.jsonl").open() as lines:
            return float(json.loads(lines.readline())["start_ns"]) / 1e9
    except (StopIteration, OSError, ValueError):
        return None


def _over(run: Run) -> bool | None:
    """True once as many faults have ended as the schedule undoes, or the run has failed."""
    ends = (run.trial() / "events.jsonl").read_text().count('"event":"end"')
    if run.process.poll() is not None:
        return True
    return ends >= sum(step["action"] == "undo" for step in PLAYED.compile()) or None
