"""A drill follows a runbook: what is done, recorded, raised, counted; in a placebo nothing."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from blackstart.drill.attempt import Attempt
from blackstart.drill.following import CHARACTERS, LINES, NO_ENV, Followed, Follower, last_of
from blackstart.drill.trial import Drill
from blackstart.history.writer import EventWriter
from blackstart.injection.stopping import Stop, Stopped
from blackstart.model.errors import ConfigError, LoadError, RunbookFailed
from blackstart.model.experiment import Role
from tests.faults.fakes import site

SECRET = "correct-horse-battery"
PAGE = f"""
```sh {{name=find phase=detect}}
RUN=${{RUN:-of another stack}}
WHERE=restore-1
echo "run $RUN,${{BASH_ENV:-}}${{DOCKER_CONTEXT:-}}"
```

```sh {{name=copy phase=copy}}
echo "copied to $WHERE in $(basename "$PWD") for $TARGET, {SECRET}" > made
cat made
```

```sh {{name=corrupt}}
echo "ERROR: checksum of base.tar differs" >&2
exit 28
```

```sh {{name=mute}}
true
```

```sh {{name=long}}
sleep 60
```
"""


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    """An attempt between its baseline and its end, in a project with one runbook."""
    where = site()
    where.stack = replace(where.stack, secrets=(SECRET,))
    (tmp_path / "project" / "runbooks").mkdir(parents=True)
    page = tmp_path / "project" / "runbooks" / "lost.md"
    page.write_text(PAGE)
    session = SimpleNamespace(running=where, progress=SimpleNamespace(say=lambda text: None), stop=Stop())
    drill = SimpleNamespace(session=session, experiment=None, role=Role.DRILL, step=False, runbook=page)
    made = Attempt(cast(Drill, drill), tmp_path, random.Random(1))
    made.start_ns = time.monotonic_ns()
    made.load = cast(Any, SimpleNamespace(alive=True))
    made.events = EventWriter(tmp_path / "events.jsonl", made._clock)
    return made


def follow(
    attempt: Attempt,
    *steps: str,
    env: Mapping[str, str] = NO_ENV,
    limit_s: float = 30,
    fails: str = "",
    check: bool = True,
) -> Followed:
    return Follower(attempt, "lost", steps, fails).follow(env, limit_s, check)


def events(attempt: Attempt, source: str = "runbook") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in attempt.events.path.read_text().splitlines()]
    return [line for line in lines if line["source"] == source]


def test_the_steps_act_on_the_drills_own_stack_and_are_recorded(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN", "of the shell")
    monkeypatch.setenv("BASH_ENV", "/dev/null")
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    followed = follow(attempt, "find", "copy", env={"TARGET": "noon"})
    assert followed.of("find").output == "run r1,"
    assert (followed.exit, followed.ran, followed.wrong) == (0, True, "")
    assert followed.output == "copied to restore-1 in project for noon, [redacted]"
    told = [
        {k: line.get(k) for k in ("event", "runbook", "step", "phase", "exit")} for line in events(attempt)
    ]
    step = {"runbook": "lost", "step": "find", "phase": "detect"}
    assert told[:2] == [{"event": "begin", **step, "exit": None}, {"event": "end", **step, "exit": 0}]
    assert [line["step"] for line in told] == ["find", "find", "copy", "copy"]
    code = PAGE.split("```sh {name=find phase=detect}\n")[1].split("```")[0]
    assert events(attempt)[0]["sha256"] == sha256(code.encode()).hexdigest()
    assert SECRET not in attempt.events.path.read_text()
    assert attempt.schedule == [{"action": "follow", "runbook": "lost", "steps": ["find", "copy"]}]


def test_the_programs_of_this_python_come_first(attempt: Attempt, tmp_path: Path) -> None:
    page = tmp_path / "project" / "runbooks" / "lost.md"
    page.write_text("```sh {name=where}\necho ${PATH%%:*}\n```\n")
    assert follow(attempt, "where").output == str(Path(sys.executable).parent)


def test_a_step_that_fails_is_recorded_and_raised_with_its_words(attempt: Attempt) -> None:
    with pytest.raises(RunbookFailed, match=r"lost: corrupt failed \(exit 28\): ERROR: checksum of base.tar"):
        follow(attempt, "find", "corrupt", "mute")
    assert [(e["event"], e["step"]) for e in events(attempt)][-1] == ("end", "corrupt")
    assert events(attempt)[-1]["exit"] == 28
    assert events(attempt, "drill") == [], "nothing is counted where no step has to fail"


def test_without_check_the_body_goes_on(attempt: Attempt) -> None:
    followed = follow(attempt, "corrupt", "mute", check=False)
    assert (followed.exit, [s.name for s in followed.steps]) == (28, ["corrupt"])
    assert "lost: corrupt failed (exit 28)" in followed.wrong
    with pytest.raises(ConfigError, match="step 'mute' was not begun; begun were: corrupt"):
        followed.of("mute")


def test_a_step_that_must_fail_and_does_so_loudly_is_as_it_must_be(attempt: Attempt) -> None:
    followed = follow(attempt, "find", "corrupt", fails="checksum of base.tar differs")
    assert (followed.exit, followed.wrong) == (28, "")
    assert [e.get("fails") for e in events(attempt) if e["event"] == "begin"] == [
        None,
        "checksum of base.tar differs",
    ]
    assert [(e["name"], e["value"]) for e in events(attempt, "drill")] == [("undetected", 0)]


@pytest.mark.parametrize(
    ("step", "told", "counts"),
    [
        ("mute", "lost: mute went well, and had to fail with 'wrong key'", [1, 2]),
        ("corrupt", r"lost: corrupt failed \(exit 28\) without saying 'wrong key': ERROR: checksum", [0, 0]),
    ],
)
def test_a_damage_of_which_nobody_is_told_is_counted(
    attempt: Attempt, step: str, told: str, counts: list[int]
) -> None:
    follow(attempt, step, fails="wrong key", check=False)
    with pytest.raises(RunbookFailed, match=told):
        follow(attempt, step, fails="wrong key")
    assert [e["value"] for e in events(attempt, "drill")] == counts


def test_a_step_that_is_not_done_in_time_is_neither_detected_nor_undetected(attempt: Attempt) -> None:
    with pytest.raises(RunbookFailed, match="lost: long was not done within 500 ms"):
        follow(attempt, "long", limit_s=0.5, fails="wrong key")
    assert events(attempt, "drill") == []


def test_a_step_before_the_one_that_must_fail_must_not(attempt: Attempt) -> None:
    with pytest.raises(RunbookFailed, match="corrupt failed"):
        follow(attempt, "corrupt", "mute", fails="checksum")
    assert events(attempt, "drill") == []


def test_a_limit_is_for_all_steps_together(attempt: Attempt) -> None:
    with pytest.raises(RunbookFailed, match="lost: long was not done within 500 ms"):
        follow(attempt, "find", "long", limit_s=0.5)
    last = events(attempt)[-1]
    assert (last["exit"], last["cut"], last["limit_s"]) == (None, "limit", 0.5)


def test_a_run_that_is_to_stop_stops_the_step(attempt: Attempt) -> None:
    timer = threading.Timer(0.3, attempt.stop.request, ("enough",))
    timer.start()
    with pytest.raises(Stopped):
        follow(attempt, "long")
    assert (events(attempt)[-1]["event"], events(attempt)[-1]["cut"]) == ("end", "stop")


def test_a_load_that_ends_ends_the_step(attempt: Attempt) -> None:
    attempt.load = cast(Any, SimpleNamespace(alive=False))
    with pytest.raises(LoadError):
        follow(attempt, "long")


def test_a_placebo_follows_nothing_and_says_so(attempt: Attempt, tmp_path: Path) -> None:
    attempt.role = Role.PLACEBO
    followed = follow(attempt, "copy", "corrupt", fails="checksum")
    assert (followed.ran, followed.exit, followed.output, followed.wrong) == (False, 0, "", "")
    assert followed.of("copy").phase == "copy"
    assert attempt.notes == ["placebo: not followed: lost: copy, corrupt"]
    assert (events(attempt), attempt.schedule) == ([], [])
    assert not (tmp_path / "project" / "made").exists()


@pytest.mark.parametrize(
    ("runbook", "steps", "told"),
    [
        ("gone", ("find",), "no runbook .*gone.md; there are: lost"),
        ("lost", ("fetch",), "no step 'fetch'"),
        ("lost", (), "name the steps"),
    ],
)
@pytest.mark.parametrize("role", [Role.DRILL, Role.PLACEBO])
def test_what_there_is_not_is_found_before_anything_is_done(
    attempt: Attempt, runbook: str, steps: tuple[str, ...], told: str, role: Role
) -> None:
    attempt.role = role
    with pytest.raises(ConfigError, match=told):
        Follower(attempt, runbook, steps)
    assert events(attempt) == []


def test_a_failed_step_ends_the_body_and_is_told_once(attempt: Attempt) -> None:
    reached: list[str] = []

    def body() -> None:
        follow(attempt, "corrupt")
        reached.append("end")

    attempt._strike(body)
    assert reached == []
    assert events(attempt, "drill") == [], "its own events tell of it: no second finding"


def test_what_is_said_is_kept_to_its_last_lines_without_secrets() -> None:
    text = "\n".join(f"{n} {SECRET}" for n in range(500))
    lines = last_of(text, [SECRET]).splitlines()
    assert (len(lines), lines[-1]) == (LINES, "499 [redacted]")
    long = last_of("x" * 3 * CHARACTERS, [])
    assert len(long) == CHARACTERS + 2
    assert long.startswith("… x")
