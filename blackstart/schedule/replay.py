"""A run's schedule again: what was done, from `run.json`, as a schedule that does the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from blackstart.faults import fault_from_dict
from blackstart.model.durations import seconds
from blackstart.model.errors import ConfigError, EvidenceError
from blackstart.schedule.actions import End, Inject, Undo, Wait
from blackstart.schedule.base import Action, action_from_dict
from blackstart.schedule.schedule import Schedule

#: Fields that a played step has besides those of its action.
TIMES = ("planned_s", "actual_s", "late_s")


def read_run(folder: Path) -> Schedule:
    """The schedule of the run in `folder`; EvidenceError if there is none to be had."""
    path = folder / "run.json"
    try:
        return from_run(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise EvidenceError(str(path), error.strerror or str(error)) from None
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError(str(path), f"not a run: {type(error).__name__}: {error}") from None
    except ConfigError as error:
        raise EvidenceError(str(path), str(error)) from None


def from_run(run: Mapping[str, Any]) -> Schedule:
    """What was done in the run whose `run.json` this is.

    If one schedule was played and nothing injected besides, its steps at their planned times, with its seed.
    Otherwise every fault from when it began to when it was undone. Raises ConfigError if there was none.
    """
    plays = [entry for entry in run["schedule"] if entry["action"] == "play"]
    played = [entry for entry in run["schedule"] if "planned_s" in entry]
    besides = [e for e in run["schedule"] if e["action"] == "inject" and e not in played]
    if len(plays) == 1 and played and not besides:
        planned = [(_action(e), float(e["planned_s"])) for e in played if e["action"] != End.kind]
        return Schedule(_spaced(planned, played[-1]["planned_s"]), plays[0]["seed"])
    happened = [record for record in run["faults"] if record["source"] == "fault"]
    if not happened:
        raise ConfigError("nothing was injected in this run: there is nothing to do again")
    timed = _as_it_happened(happened)
    return Schedule(_spaced(timed, timed[-1][1]), run["seed"])


def _action(entry: Mapping[str, Any]) -> Action:
    return action_from_dict({name: value for name, value in entry.items() if name not in TIMES})


def _as_it_happened(records: Iterable[Mapping[str, Any]]) -> list[tuple[Action, float]]:
    """Actions with their times in seconds from the first; the n-th fault of a kind is called `kill-n`."""
    timed: list[tuple[Action, float]] = []
    numbers: Counter[str] = Counter()
    for record in sorted(records, key=lambda r: float(r["begin_s"])):
        fault = fault_from_dict(record["fault"])
        numbers[fault.kind] += 1
        name = f"{fault.kind}-{numbers[fault.kind]}"
        timed.append((Inject(name, fault), record["begin_s"]))
        if record["end_s"] is not None:
            # One that expired was undone a little late; a schedule may not ask for that (1 ms for rounding).
            limit_s = seconds(fault.max_duration) - 0.001
            timed.append((Undo(name), min(record["end_s"], record["begin_s"] + limit_s)))
    timed.sort(key=lambda each: each[1])
    first_s = timed[0][1]
    return [(action, at_s - first_s) for action, at_s in timed]


def _spaced(timed: Iterable[tuple[Action, float]], end_s: float) -> tuple[Action, ...]:
    """The actions one after another, with waits between them and up to the end."""
    actions: list[Action] = []
    now_ms = 0
    for action, at_s in (*timed, (None, end_s)):
        at_ms = round(at_s * 1000)
        if at_ms > now_ms:
            actions.append(Wait((at_ms - now_ms) / 1000))
            now_ms = at_ms
        if action is not None:
            actions.append(action)
    return tuple(actions)
