"""Verifying, as somebody who would like to have it otherwise: every kind of tampering is told by file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blackstart.cli.evidence_cmd import evidence_command
from blackstart.evidence import keys, sums
from blackstart.evidence.build import rendered
from blackstart.evidence.page import page
from blackstart.evidence.verify import Verification, differences, verify
from blackstart.model.errors import ConfigError, EvidenceError
from tests.evidence.runs import DRILL, KEY, OTHER_KEY

PUBLIC = KEY.public_key()
TRIAL = f"runs/{DRILL}/trial-1"
HISTORY = f"{TRIAL}/history.jsonl"
Tamper = Callable[[Path], object]


def told(found: Verification) -> dict[str, str]:
    """What is said of each file, the first thing."""
    said: dict[str, str] = {}
    for problem in found.problems:
        said.setdefault(problem.path, problem.what)
    return said


def sign(folder: Path, key: Ed25519PrivateKey) -> None:
    """What an attacker does who changed something: a new list, signed."""
    (folder / sums.PUBLIC_KEY).write_bytes(keys.public_pem(key.public_key()))
    found = [path for path in sums.listing(folder)[0] if path not in (sums.SUMS, sums.SIGNATURE)]
    listed = sums.lines({path: sums.sha256(folder / path) for path in found})
    (folder / sums.SUMS).write_bytes(listed)
    (folder / sums.SIGNATURE).write_bytes(key.sign(listed))


def facts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / sums.FACTS).read_bytes())
    return found


def replace(path: str, old: str, new: str) -> Tamper:
    def tamper(folder: Path) -> None:
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_text(text.replace(old, new, 1))

    return tamper


def test_what_was_built_is_intact(evidence: Path) -> None:
    found = verify(evidence, PUBLIC)
    assert (found.intact, found.trusted, found.files) == (True, True, 12)
    assert found.facts == facts(evidence)
    assert found.notes == ()


def test_a_copy_and_another_order_in_the_folder_are_intact(evidence: Path, tmp_path: Path) -> None:
    moved = tmp_path / "auditors" / "copy"
    for path in sorted((p for p in evidence.rglob("*") if p.is_file()), reverse=True):
        target = moved / path.relative_to(evidence)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        os.utime(target, (0, 0))
    assert verify(moved, PUBLIC).intact


def test_the_key_in_the_folder_is_not_trusted(evidence: Path) -> None:
    found = verify(evidence)
    assert (found.intact, found.trusted) == (True, False)
    assert found.fingerprint == keys.fingerprint(PUBLIC)


def test_a_fingerprint_is_enough_to_trust(evidence: Path) -> None:
    assert verify(evidence, fingerprint=keys.fingerprint(PUBLIC)).trusted
    wrong = verify(evidence, fingerprint=keys.fingerprint(OTHER_KEY.public_key()))
    assert not wrong.intact and not wrong.trusted
    assert "another key" in told(wrong)[sums.PUBLIC_KEY]
    with pytest.raises(ConfigError, match="not a fingerprint"):
        verify(evidence, fingerprint=keys.fingerprint(PUBLIC)[:16])


@pytest.mark.parametrize(
    ("tamper", "path", "said"),
    [
        (replace(sums.PAGE, "✓ Pass", "✕ Fail"), sums.PAGE, "changed"),
        (replace(sums.FACTS, '"verdict": "pass"', '"verdict": "fail"'), sums.FACTS, "changed"),
        (replace(HISTORY, '"info"', '"fail"'), HISTORY, "changed"),
        (replace(f"{TRIAL}/events.jsonl", "amcheck", "nocheck"), f"{TRIAL}/events.jsonl", "changed"),
        (lambda f: (f / HISTORY).write_bytes((f / HISTORY).read_bytes() + b"\n"), HISTORY, "changed"),
        (lambda f: (f / HISTORY).write_bytes(b""), HISTORY, "changed"),
        (lambda f: (f / HISTORY).unlink(), HISTORY, "missing"),
        (lambda f: (f / sums.PAGE).unlink(), sums.PAGE, "missing"),
        (lambda f: (f / sums.FACTS).unlink(), sums.FACTS, "missing"),
        (lambda f: (f / sums.PUBLIC_KEY).unlink(), sums.PUBLIC_KEY, "missing"),
        (lambda f: (f / sums.SUMS).unlink(), sums.SUMS, "missing"),
        (lambda f: (f / sums.SIGNATURE).unlink(), sums.SIGNATURE, "missing"),
        (lambda f: (f / sums.SIGNATURE).write_bytes(b""), sums.SIGNATURE, "is no signature"),
        (lambda f: (f / sums.SIGNATURE).write_bytes(bytes(64)), sums.SIGNATURE, "is no signature"),
        (lambda f: (f / "more.txt").write_text("and so on"), "more.txt", "added"),
        (lambda f: (f / TRIAL / "run.json.bak").write_text("{}"), f"{TRIAL}/run.json.bak", "added"),
        (lambda f: (f / ".hidden").write_text("x"), ".hidden", "added"),
        (lambda f: (f / "runs" / "empty").mkdir(), "runs/empty/", "added"),
        (lambda f: (f / "link").symlink_to("/etc/passwd"), "link", "added"),
        (lambda f: os.mkfifo(f / "pipe"), "pipe", "added"),
        (lambda f: (f / "a\nb\x1b[2J").write_text("x"), "a\\nb\\x1b[2J", "added"),
        (lambda f: (f / sums.PAGE).rename(f / "Evidence.html"), sums.PAGE, "missing"),
        (lambda f: (f / sums.PAGE).rename(f / "Evidence.html"), "Evidence.html", "added"),
        (lambda f: (f / TRIAL).rename(f / "runs" / DRILL / "trial-2"), HISTORY, "missing"),
    ],
)
def test_whatever_is_changed_missing_or_added_is_told(
    evidence: Path, tamper: Tamper, path: str, said: str
) -> None:
    tamper(evidence)
    found = verify(evidence, PUBLIC)
    assert not found.intact
    assert told(found)[path].startswith(said), told(found)


def test_the_same_json_in_another_order_is_a_change(evidence: Path) -> None:
    path = evidence / sums.FACTS
    path.write_text(json.dumps(dict(reversed(facts(evidence).items()))))
    assert told(verify(evidence, PUBLIC))[sums.FACTS].startswith("changed")


@pytest.mark.parametrize("key", [None, PUBLIC])
def test_the_list_changed_along_with_the_file_breaks_the_signature(evidence: Path, key: Any) -> None:
    history = evidence / HISTORY
    before = sums.sha256(history)
    replace(HISTORY, '"info"', '"fail"')(evidence)
    replace(sums.SUMS, before, sums.sha256(history))(evidence)
    assert sums.SIGNATURE in told(verify(evidence, key))


def test_a_file_struck_from_the_list_breaks_the_signature(evidence: Path) -> None:
    lines = (evidence / sums.SUMS).read_text().splitlines(keepends=True)
    (evidence / sums.SUMS).write_text("".join(line for line in lines if sums.PAGE not in line))
    said = told(verify(evidence, PUBLIC))
    assert said[sums.PAGE].startswith("added") and sums.SIGNATURE in said


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "runs/../../outside"])
def test_a_list_never_makes_us_read_what_is_outside(evidence: Path, path: str) -> None:
    (evidence.parent / "outside").write_text("x")
    with (evidence / sums.SUMS).open("a") as file:
        file.write(f"{sums.sha256(evidence.parent / 'outside')}  {path}\n")
    said = verify(evidence, PUBLIC)
    assert any(p.path == sums.SUMS and "plain relative path" in p.what for p in said.problems)


def test_a_folder_signed_anew_with_another_key_passes_only_where_nobody_names_the_key(evidence: Path) -> None:
    sign(evidence, OTHER_KEY)
    data = facts(evidence)
    data["key"] = keys.fingerprint(OTHER_KEY.public_key())
    (evidence / sums.FACTS).write_bytes(rendered(data))
    (evidence / sums.PAGE).write_text(page(data))
    sign(evidence, OTHER_KEY)
    unnamed = verify(evidence)
    assert (unnamed.intact, unnamed.trusted) == (True, False)
    for named in (verify(evidence, PUBLIC), verify(evidence, fingerprint=keys.fingerprint(PUBLIC))):
        assert "another key" in told(named)[sums.PUBLIC_KEY]
    assert "is no signature" in told(verify(evidence, PUBLIC))[sums.SIGNATURE]


def test_the_key_of_another_signer_beside_it_does_not_pass_for_his(evidence: Path) -> None:
    (evidence / sums.PUBLIC_KEY).write_bytes(keys.public_pem(OTHER_KEY.public_key()))
    said = told(verify(evidence, PUBLIC))
    assert "another key" in said[sums.PUBLIC_KEY]
    assert sums.SIGNATURE not in said


def test_a_holder_of_the_key_cannot_say_what_the_histories_do_not(evidence: Path) -> None:
    data = facts(evidence)
    data["verdict"] = "fail"
    data["drills"][0]["trials"][0]["measure"]["rto"]["hi_s"] = 0.1
    (evidence / sums.FACTS).write_bytes(rendered(data))
    sign(evidence, KEY)
    said = [p.what for p in verify(evidence, PUBLIC).problems if p.path == sums.FACTS]
    assert said == [
        "verdict is not what the histories give",
        "drills[0].trials[0].measure.rto.hi_s is not what the histories give",
    ]


def test_a_holder_of_the_key_cannot_edit_the_page_alone(evidence: Path) -> None:
    replace(sums.PAGE, "Sample size 1", "Sample size 59")(evidence)
    sign(evidence, KEY)
    assert told(verify(evidence, PUBLIC)) == {sums.PAGE: "is not the page of what the histories give"}


def test_a_history_and_a_run_that_contradict_each_other_are_told(evidence: Path) -> None:
    replace(HISTORY, '"type": "ok", ', '"type": "fail", ')(evidence)
    sign(evidence, KEY)
    said = told(verify(evidence, PUBLIC))
    assert "cannot be judged again" in said[f"{TRIAL}/run.json"]


@pytest.mark.parametrize("change", [{"superseded": True}, {"role": "control"}, {"role": "placebo"}])
def test_a_holder_of_the_key_cannot_have_a_trial_not_count(evidence: Path, change: dict[str, Any]) -> None:
    path = evidence / TRIAL / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    sign(evidence, KEY)
    assert "cannot be judged again" in told(verify(evidence, PUBLIC))[f"{TRIAL}/run.json"]


def test_evidence_of_another_version_is_judged_again_but_not_its_wording(evidence: Path) -> None:
    data = facts(evidence)
    data["built_by"] = "blackstart 9.9"
    data["sentence"] = "All went well, said otherwise."
    trial = next(t for t in data["drills"][0]["trials"] if t["faults"])
    trial["faults"][0]["call"] = "the same fault, said otherwise"
    (evidence / sums.FACTS).write_bytes(rendered(data))
    sign(evidence, KEY)
    found = verify(evidence, PUBLIC)
    assert found.intact and not found.compared and "blackstart 9.9" in found.notes[0]
    assert CliRunner().invoke(evidence_command, ["--verify", str(evidence)]).exit_code == 2
    original = json.dumps(data)
    for name, value in (("proof", "fail"), ("restores", []), ("steps", []), ("faults", [])):
        data = json.loads(original)
        trial = next(t for t in data["drills"][0]["trials"] if t[name] != value)
        trial[name] = value
        (evidence / sums.FACTS).write_bytes(rendered(data))
        sign(evidence, KEY)
        assert sums.FACTS in told(verify(evidence, PUBLIC)), name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"key": 1}',
        pytest.param("[" * 100_000, id="deep"),
        '{"key":"x","targets":7,"masked":{},"unfinished":[]}',
    ],
)
def test_facts_that_are_none_are_told_and_do_no_harm(evidence: Path, text: str) -> None:
    (evidence / sums.FACTS).write_text(text)
    sign(evidence, KEY)
    assert sums.FACTS in told(verify(evidence, PUBLIC))


@pytest.mark.parametrize("change", [{"trial": "x"}, {"experiment": []}, {"duration_s": 1e400}, {"stack": 3}])
def test_a_run_that_is_malformed_is_told_and_does_no_harm(evidence: Path, change: dict[str, Any]) -> None:
    path = evidence / TRIAL / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    sign(evidence, KEY)
    assert not verify(evidence, PUBLIC).intact


def test_a_link_in_place_of_a_history_is_not_followed(evidence: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.jsonl"
    (evidence / HISTORY).rename(moved)
    (evidence / HISTORY).symlink_to(moved)
    found = verify(evidence, PUBLIC)
    assert told(found)[HISTORY].startswith("added: a symbolic link")
    assert found.facts == {}


def test_a_pipe_in_place_of_a_history_is_not_waited_for(evidence: Path) -> None:
    (evidence / HISTORY).unlink()
    os.mkfifo(evidence / HISTORY)
    assert told(verify(evidence, PUBLIC))[HISTORY].startswith("added: neither")


def test_what_is_no_evidence_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no such folder"):
        verify(tmp_path / "missing")
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(EvidenceError, match="no evidence"):
        verify(tmp_path)


def test_differences_are_named_by_their_path() -> None:
    one = {"a": [1, {"b": 2}], "c": True, "d": 1}
    other = {"a": [1, {"b": 3}], "c": 1, "e": 1}
    assert list(differences(one, other)) == ["a[1].b", "c", "d", "e"]
    assert list(differences([1], [1, 2])) == ["all of it"]
    assert list(differences({"n": 1.0}, {"n": 1})) == []
