"""Building evidence: every figure from the histories, the same bytes each time, no secret in it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from blackstart.evidence import keys
from blackstart.evidence.build import Built, build
from blackstart.evidence.facts import parse_targets
from blackstart.model.errors import ConfigError, EvidenceError
from tests.evidence.runs import DRILL, KEY, LABEL, RUN_ID, a_run, add, at, edit, named, record, synth

ROOT = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def the_drill(facts: dict[str, Any]) -> dict[str, Any]:
    (drill,) = facts["drills"]
    found: dict[str, Any] = drill
    return found


def test_the_folder_is_named_by_the_day_and_the_run_and_holds_all_that_proves_it(built: Built) -> None:
    assert built.folder.name == f"evidence-2026-01-15-{RUN_ID}"
    trials = [f"runs/{DRILL}/{name}" for name in ("trial-1", "control-async-replication", "placebo")]
    files = [f"{trial}/{name}" for trial in trials for name in ("history.jsonl", "events.jsonl", "run.json")]
    fixed = ["SHA256SUMS", "SHA256SUMS.sig", "public-key.pem", "evidence.json", "evidence.html"]
    assert sorted(contents(built.folder)) == sorted([*files, *fixed])


def test_the_list_names_every_file_with_its_hash_and_is_what_was_signed(built: Built) -> None:
    files = contents(built.folder)
    listed, signature = files.pop("SHA256SUMS"), files.pop("SHA256SUMS.sig")
    told = {line.split("  ")[1]: line.split("  ")[0] for line in listed.decode().splitlines()}
    assert told == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert keys.is_signed(KEY.public_key(), signature, listed)
    assert files["public-key.pem"] == keys.public_pem(KEY.public_key())


def test_the_same_run_gives_the_same_bytes(run: Path, built: Built, tmp_path: Path) -> None:
    again = build(run, tmp_path / "elsewhere", KEY, {"rto": "60s"})
    assert contents(again.folder) == contents(built.folder)


def test_a_link_to_the_run_gives_the_same(run: Path, built: Built, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(run, target_is_directory=True)
    again = build(tmp_path / "latest", tmp_path / "out", KEY, {"rto": "60s"})
    assert again.facts == built.facts


def test_verdicts_of_drill_control_and_placebo_are_told(built: Built) -> None:
    drill = the_drill(built.facts)
    assert (drill["verdict"], drill["placebo"]) == ("pass", "pass")
    assert [(c["variant"], c["breaks"], c["proof"]) for c in drill["controls"]] == [
        ("async-replication", "lost", "pass")
    ]
    assert built.facts["verdict"] == "pass"
    assert built.facts["sentence"] == (
        "1 of 1 drill passed; 1 restore from backup recorded; 1 of 1 target met; "
        "1 of 1 negative control caught; 1 of 1 placebo quiet."
    )


def test_what_was_restored_from_which_backup_is_told_with_its_checks(built: Built) -> None:
    (restore,) = the_drill(built.facts)["trials"][0]["restores"]
    assert (restore["what"], restore["from"], restore["into"]) == ("table turns", LABEL, "restore-1")
    assert [(c["name"], c["passed"]) for c in restore["checks"]] == [("amcheck", True), ("rows <b>", True)]


def test_the_steps_of_the_runbook_are_told_with_their_outcome(built: Built) -> None:
    steps = the_drill(built.facts)["trials"][0]["steps"]
    assert [(s["step"], s["phase"], s["exit"], s["wrong"]) for s in steps] == [
        ("find", "detect", 0, ""),
        ("restore", "copy", 0, ""),
        ("compare", "verify", 0, ""),
    ]
    assert {s["sha256"] for s in steps} == {"a1" * 32}


def test_steps_of_which_no_hash_is_recorded_are_not_called_as_written(own_run: Path, tmp_path: Path) -> None:
    trial = own_run / DRILL / "trial-1"
    step = {"runbook": "rows-deleted", "step": "tell", "phase": None}
    end = at(20.2, "runbook", "end", **step, exit=0, output="")
    add(trial, at(20.0, "runbook", "begin", **step), end)
    shown = [c["shown"] for c in build(own_run, tmp_path / "out", KEY).facts["criteria"]]
    assert "1 runbook followed step by step (rows-deleted): 4 of 4 steps ended as they must." in shown


def test_a_trial_in_which_the_database_could_not_be_asked_in_the_end_is_evidence_too(
    own_run: Path, tmp_path: Path
) -> None:
    run = own_run / DRILL / "trial-1"
    told = json.loads((run / "run.json").read_text())["configuration"]
    edit(run, configuration={**told, "postgres": "unknown: nobody is primary"})
    database = build(own_run, tmp_path / "out", KEY).facts["environment"]["database"]
    assert database["unknown"] == "unknown: nobody is primary"


def test_a_target_is_compared_with_what_was_measured(run: Path, built: Built, tmp_path: Path) -> None:
    (met,) = the_drill(built.facts)["trials"][0]["targets"]
    assert (met["objective"], met["bound"], met["verdict"]) == ("rto", "60s", "pass")
    strict = build(run, tmp_path, KEY, {"rto": "100ms", "rpo": "1s"})
    told = {t["objective"]: t["verdict"] for t in the_drill(strict.facts)["trials"][0]["targets"]}
    assert told == {"rto": "fail", "rpo": "pass"}
    assert strict.facts["verdict"] == "fail"


def test_without_targets_the_drills_own_objectives_stand(run: Path, tmp_path: Path) -> None:
    facts = build(run, tmp_path, KEY).facts
    (target,) = the_drill(facts)["trials"][0]["targets"]
    assert (target["objective"], target["bound"], target["verdict"]) == ("rto", "10s", "pass")


def test_a_control_that_caught_nothing_fails_the_whole(own_run: Path, tmp_path: Path) -> None:
    control = own_run / DRILL / "control-async-replication"
    told = json.loads((control / "run.json").read_text())
    shutil.rmtree(control)
    synth(seed=8).write(control, role="control")
    named(control, "control")
    edit(control, run_id=RUN_ID, control=told["control"])
    record(control)
    facts = build(own_run, tmp_path / "out", KEY).facts
    assert the_drill(facts)["verdict"] == "pass"
    assert facts["verdict"] == "fail"


@pytest.mark.parametrize("what", ["verdict", "proof", "measure", "check", "findings"])
def test_a_run_that_says_otherwise_than_its_history_is_refused(
    own_run: Path, tmp_path: Path, what: str
) -> None:
    trial = own_run / DRILL / "trial-1"
    said = json.loads((trial / "run.json").read_text())
    said["measure"]["rto"]["hi_s"] = 0.5
    said["check"]["lost"] = ["w1"]
    said["findings"][0]["verdict"] = "unknown"
    edit(trial, **{what: said[what] if what in ("measure", "check", "findings") else "unknown"})
    with pytest.raises(EvidenceError, match=f"its {what} differs") as refused:
        build(own_run, tmp_path / "out", KEY)
    assert refused.value.file == str(trial / "run.json")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_history_that_was_changed_after_the_trial_is_refused(own_run: Path, tmp_path: Path) -> None:
    trial = own_run / DRILL / "trial-1"
    add(trial, at(20.0, "gate", "trip", gate="load-lag"))
    with pytest.raises(EvidenceError, match="differs from what"):
        build(own_run, tmp_path / "out", KEY)


def test_damage_is_told_by_the_name_and_line_of_the_original(own_run: Path, tmp_path: Path) -> None:
    history = own_run / DRILL / "placebo" / "history.jsonl"
    lines = history.read_text().splitlines(keepends=True)
    history.write_text("".join([*lines[:3], "no json\n", *lines[3:]]))
    with pytest.raises(EvidenceError) as refused:
        build(own_run, tmp_path / "out", KEY)
    assert str(refused.value).startswith(f"{history}: line 4: not JSON")


def test_trials_of_several_runs_are_no_evidence_of_one(own_run: Path, tmp_path: Path) -> None:
    edit(own_run / DRILL / "placebo", run_id="20260116-000000-0000")
    with pytest.raises(EvidenceError, match="trials of several runs") as refused:
        build(own_run, tmp_path / "out", KEY)
    assert refused.value.file == str(own_run)


def test_evidence_is_never_replaced_and_never_put_into_the_run(
    run: Path, own_run: Path, tmp_path: Path
) -> None:
    first = build(run, tmp_path / "out", KEY)
    before = contents(first.folder)
    with pytest.raises(EvidenceError, match="is there already"):
        build(run, tmp_path / "out", KEY, {"rto": "1s"})
    assert contents(first.folder) == before
    assert [p.name for p in (tmp_path / "out").iterdir()] == [first.folder.name]
    with pytest.raises(EvidenceError, match="lies in the run's own folder"):
        build(own_run, own_run / "evidence", KEY)


def test_what_holds_no_trial_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvidenceError, match="no trial"):
        build(tmp_path / "empty", tmp_path / "out", KEY)
    with pytest.raises(EvidenceError, match="no such folder"):
        build(tmp_path / "missing", tmp_path / "out", KEY)


def test_a_trial_that_was_broken_off_is_named(own_run: Path, tmp_path: Path) -> None:
    (own_run / DRILL / "placebo" / "run.json").unlink()
    facts = build(own_run, tmp_path / "out", KEY).facts
    assert facts["unfinished"] == [f"{DRILL}/placebo"]
    assert any(f"{DRILL}/placebo" in limit for limit in facts["limits"])
    assert the_drill(facts)["placebo"] is None


def test_a_void_trial_is_kept_and_counts_nowhere(own_run: Path, tmp_path: Path) -> None:
    void = own_run / DRILL / "trial-1-again1"
    synth(seed=10).write(void)
    add(void, at(20.0, "gate", "trip", gate="load-lag"))
    edit(void, run_id=RUN_ID)
    record(void)
    edit(void, superseded=True)
    facts = build(own_run, tmp_path / "out", KEY).facts
    drill = the_drill(facts)
    assert drill["verdict"] == "pass"
    assert [
        (t["path"].rsplit("/")[-1], t["superseded"]) for t in drill["trials"] if t["role"] == "drill"
    ] == [
        ("trial-1", False),
        ("trial-1-again1", True),
    ]
    assert any("Void" in limit and "trial-1-again1" in limit for limit in facts["limits"])


def failed(run: Path, number: int = 2) -> Path:
    """Another trial of that run, which failed."""
    trial = run / DRILL / f"trial-{number}"
    synth(seed=10, lose=2).write(trial, trial=number)
    named(trial, "drill", number)
    edit(trial, run_id=RUN_ID)
    record(trial)
    return trial


def test_a_trial_that_failed_cannot_be_called_void(own_run: Path, tmp_path: Path) -> None:
    trial = failed(own_run)
    assert build(own_run, tmp_path / "as-it-was", KEY).facts["verdict"] == "fail"
    edit(trial, superseded=True)
    with pytest.raises(EvidenceError, match="only one that is unknown is run again") as refused:
        build(own_run, tmp_path / "out", KEY)
    assert refused.value.file == str(trial / "run.json")


BREAKS = {"variant": "async-replication", "breaks": "lost"}


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"role": "control", "control": BREAKS, "proof": "pass"}, "role"),
        ({"role": "placebo"}, "role"),
        ({"role": "rehearsal"}, "role"),
        ({"trial": 3}, "number"),
    ],
)
def test_a_trial_cannot_be_called_another_than_its_events_say(
    own_run: Path, tmp_path: Path, change: dict[str, Any], differs: str
) -> None:
    edit(failed(own_run), **change)
    with pytest.raises(EvidenceError, match=f"its {differs} differs from what"):
        build(own_run, tmp_path / "out", KEY)


@pytest.mark.parametrize(
    ("name", "said", "differs"),
    [
        ("name", "test_another", "experiment"),
        ("hypothesis", "Nothing is ever lost.", "hypothesis"),
        ("controls", [], "controls"),
    ],
)
def test_what_a_trial_was_to_show_is_what_its_events_say(
    own_run: Path, tmp_path: Path, name: str, said: Any, differs: str
) -> None:
    trial = failed(own_run)
    spec = json.loads((trial / "run.json").read_text())["experiment"]
    edit(trial, experiment={**spec, name: said})
    with pytest.raises(EvidenceError, match=f"its {differs} differs from what"):
        build(own_run, tmp_path / "out", KEY)


def test_a_trial_began_when_its_events_say(own_run: Path, tmp_path: Path) -> None:
    edit(failed(own_run), started="2026-02-15T09:30:00Z")
    with pytest.raises(EvidenceError, match="its started differs from what"):
        build(own_run, tmp_path / "out", KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"fault": {"kind": "zone_lost", "target": "a"}},
        {"targets": ["everything"]},
        {"bite": "the whole zone was gone"},
        {"begin_s": 2.0},
        {"end_s": None},
        None,
    ],
)
def test_faults_are_those_of_the_events(own_run: Path, tmp_path: Path, change: dict[str, Any] | None) -> None:
    trial = own_run / DRILL / "trial-1"
    (fault,) = json.loads((trial / "run.json").read_text())["faults"]
    edit(trial, faults=[] if change is None else [{**fault, **change}])
    with pytest.raises(EvidenceError, match="its faults differ from those of the events"):
        build(own_run, tmp_path / "out", KEY)


def test_a_fault_that_was_added_to_those_of_the_events_is_refused(own_run: Path, tmp_path: Path) -> None:
    placebo = own_run / DRILL / "placebo"
    edit(placebo, faults=json.loads((own_run / DRILL / "trial-1" / "run.json").read_text())["faults"])
    with pytest.raises(EvidenceError, match="its faults differ"):
        build(own_run, tmp_path / "out", KEY)


def test_a_fault_is_told_with_the_bite_that_came_later(own_run: Path, tmp_path: Path) -> None:
    trial = own_run / DRILL / "trial-1"
    (fault,) = json.loads((trial / "run.json").read_text())["faults"]
    add(trial, at(8.1, "injection", "bite", fault=fault["fault"], bite="gone after 80 ms"))
    edit(trial, faults=[{**fault, "source": "fault", "bite": "gone after 80 ms"}])
    (told,) = the_drill(build(own_run, tmp_path / "out", KEY).facts)["trials"][0]["faults"]
    assert told["bite"] == "gone after 80 ms"


def test_a_control_must_break_what_its_events_say(own_run: Path, tmp_path: Path) -> None:
    control = own_run / DRILL / "control-async-replication"
    edit(control, control={**BREAKS, "breaks": "availability"})
    with pytest.raises(EvidenceError, match="its breaks differs"):
        build(own_run, tmp_path / "out", KEY)


def test_events_that_name_no_trial_are_those_of_a_drill(own_run: Path, tmp_path: Path) -> None:
    edit(own_run / DRILL / "trial-1", role="placebo")
    with pytest.raises(EvidenceError, match="nothing shows that the trial was no drill"):
        build(own_run, tmp_path / "out", KEY)


def test_a_gap_in_the_numbers_of_trials_is_told(own_run: Path, tmp_path: Path) -> None:
    failed(own_run, number=3)
    limits = build(own_run, tmp_path / "out", KEY).facts["limits"]
    assert any("numbered up to 3, and 2 counted" in limit for limit in limits)
    shutil.rmtree(own_run / DRILL / "trial-3")
    failed(own_run, number=2)
    assert not any("A gap" in limit for limit in build(own_run, tmp_path / "whole", KEY).facts["limits"])


def test_no_secret_is_in_any_file(tmp_path: Path) -> None:
    secret = "Tr0ub4dor&3-plain"
    run = a_run(tmp_path / "reports")
    add(run / DRILL / "trial-1", at(20.0, "container", "note", detail=f"login with {secret} failed"))
    made = build(run, tmp_path / "out", KEY, secrets=[secret])
    for name, data in contents(made.folder).items():
        assert secret.encode() not in data and synth().secret.encode() not in data, name
    original = hashlib.sha256((run / DRILL / "trial-1" / "events.jsonl").read_bytes()).hexdigest()
    assert made.facts["masked"][f"runs/{DRILL}/trial-1/events.jsonl"] == original
    assert any("Secrets were masked" in limit for limit in made.facts["limits"])


def test_the_date_is_the_runs_in_universal_time(own_run: Path, tmp_path: Path) -> None:
    late = "2026-01-15T23:30:00-05:00"
    for trial in (own_run / DRILL).iterdir():
        events = trial / "events.jsonl"
        was = json.loads((trial / "run.json").read_text())["started"]
        events.write_text(events.read_text().replace(f'"started": "{was}"', f'"started": "{late}"'))
        edit(trial, started=late)
    assert build(own_run, tmp_path / "out", KEY).facts["date"] == "2026-01-16"
    edit(own_run / DRILL / "trial-1", started=None)
    with pytest.raises(EvidenceError, match="evidence must have a date"):
        build(own_run, tmp_path / "other", KEY)


def test_a_folder_with_an_unusual_name_is_refused(own_run: Path, tmp_path: Path) -> None:
    (own_run / DRILL / "placebo").rename(own_run / DRILL / "place bo")
    with pytest.raises(EvidenceError, match="rename it"):
        build(own_run, tmp_path / "out", KEY)


def test_the_committed_example_becomes_evidence(tmp_path: Path) -> None:
    made = build(ROOT / "reports" / "example", tmp_path, KEY)
    assert the_drill(made.facts)["verdict"] == "pass"
    assert (made.folder / "runs" / "example" / "history.jsonl").is_file()


def test_limits_speak_of_what_is_not_shown(own_run: Path, tmp_path: Path) -> None:
    trial = own_run / DRILL / "trial-1"
    shutil.rmtree(trial)
    shutil.rmtree(own_run / DRILL / "control-async-replication")
    synth().write(trial)
    edit(trial, run_id=RUN_ID)
    limits = " ".join(build(own_run, tmp_path / "out", KEY).facts["limits"])
    for said in ("Sample size 1", "No negative control", "No restore", "No runbook", "fill in"):
        assert said in limits, said


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("rto=60s", {"rto": "60s"}),
        (" rto = 1m , rpo=30s,", {"rto": "1m", "rpo": "30s"}),
    ],
)
def test_targets_are_read(text: str, targets: dict[str, str]) -> None:
    assert parse_targets(text) == targets


@pytest.mark.parametrize("text", ["", "rto", "rto=", "rto=soon", "lost=0", "rto=1s,rto=2s", "rto=-1s"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_targets(text)
