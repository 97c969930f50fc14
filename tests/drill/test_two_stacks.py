"""One session on several small stacks: each in turn, one report, and one that does not start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blackstart.platforms.docker import DockerPlatform
from tests.drill.test_life_cycle import DRILLS, Run

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WIDER, FIRST, VAST = ("test_third_web_killed", "test_store_killed", "test_store_of_vast_killed")


def test_each_drill_runs_on_its_stack_one_stack_at_a_time(tmp_path: Path, platform: DockerPlatform) -> None:
    run = Run(tmp_path, WIDER, f"{DRILLS}::{VAST}", f"{DRILLS}::{FIRST}", "--chaos-trials", "2")
    code, out = run.finish(600)
    assert code == 3, f"the harness had trouble with a stack, no hypothesis failed\n{out}"
    assert "4 passed" in out and "2 errors" in out

    told = {}
    for drill in (FIRST, WIDER):
        name = drill.replace("test_", "drills_small.")
        trials = [run.trial(name, f"trial-{n}") / "run.json" for n in (1, 2)]
        runs = [json.loads(path.read_text()) for path in trials]
        assert [each["verdict"] for each in runs] == ["pass", "pass"]
        assert runs[0]["stack"] == runs[1]["stack"], "the stack stays up for the drills that need it"
        assert {each["run_id"] for each in runs} == {run.run_id}, "one run, whatever the stacks"
        told[runs[0]["stack"]["name"]] = runs[0]["stack"]
    assert set(told) == {"small-project", "wider"}
    assert [len(told[name]["instances"]) for name in ("small-project", "wider")] == [3, 4]
    assert told["small-project"]["run_id"] != told["wider"]["run_id"]

    steps = ["starting stack 'small-project'", "removing the stack", "starting stack 'wider'"]
    places = [out.index(step) for step in steps]
    assert places == sorted(places), "the project's first stack is done before another comes up"
    assert out.count("starting stack") == 2, "what did not start is not tried for every trial"
    assert out.count("too little room for the stack") >= 2, "each of its drills says why"
    page = (run.reports / "latest" / "index.html").read_text()
    assert "On the stack small-project." in page and "On the stack wider." in page
    for stack in told.values():
        assert platform.list(stack["run_id"]) == []
