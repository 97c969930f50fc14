"""Copies of the files that prove a trial: to the byte, but for secrets."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from blackstart.evidence import raw
from blackstart.model.errors import EvidenceError
from tests.measure.histories import Script

SECRET = "correct-horse-battery"
NAMES = ("history.jsonl", "events.jsonl", "run.json")


def a_trial(folder: Path) -> Path:
    folder.mkdir(parents=True)
    Script().steady("read", 0, 1).write("k", 1, 1).close("k", [1], 3).save(folder)
    (folder / "run.json").write_text('{"run_id": "x",   "big": 123456789012345678901234567890}')
    return folder


def test_files_without_secrets_are_copied_to_the_byte(tmp_path: Path) -> None:
    source = a_trial(tmp_path / "source")
    assert raw.copy(source, tmp_path / "target", [SECRET]) == {}
    for name in NAMES:
        assert (tmp_path / "target" / name).read_bytes() == (source / name).read_bytes()


def test_a_secret_is_masked_and_the_hash_of_the_original_told(tmp_path: Path) -> None:
    source = a_trial(tmp_path / "source")
    history = source / "history.jsonl"
    lines = history.read_text().splitlines()
    refused = {"index": 90, "time": 4_000_000_000, "process": 90, "type": "invoke", "f": "read"}
    failed = {**refused, "index": 91, "type": "fail", "error": f"postgres://app:pw-of-9@db/x, {SECRET}"}
    lines += [json.dumps({**refused, "intended": 4_000_000_000}), json.dumps({**failed, "big": 2**80})]
    history.write_text("\n".join(lines) + "\n")
    masked = raw.copy(source, tmp_path / "target", [SECRET])
    assert masked == {"history.jsonl": hashlib.sha256(history.read_bytes()).hexdigest()}
    copied = (tmp_path / "target" / "history.jsonl").read_text().splitlines()
    assert copied[:-1] == lines[:-1]
    assert json.loads(copied[-1]) == {
        **failed,
        "error": "postgres://app:[redacted]@db/x, [redacted]",
        "big": 2**80,
    }


def test_a_torn_last_line_stays_torn_and_bears_no_secret(tmp_path: Path) -> None:
    source = a_trial(tmp_path / "source")
    with (source / "history.jsonl").open("a") as file:
        file.write(f'{{"index":99,"error":"{SECRET}')
    masked = raw.copy(source, tmp_path / "target", [SECRET])
    last = (tmp_path / "target" / "history.jsonl").read_text().split("\n")[-1]
    assert last == '{"index":99,"error":"[redacted]'
    assert list(masked) == ["history.jsonl"]


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    source = a_trial(tmp_path / "source")
    (source / name).unlink()
    with pytest.raises(EvidenceError, match=name):
        raw.copy(source, tmp_path / "target")


def test_trials_are_found_without_following_links(tmp_path: Path) -> None:
    whole = [a_trial(tmp_path / "run" / "drill" / name) for name in ("trial-1", "trial-2")]
    broken = a_trial(tmp_path / "run" / "drill" / "trial-3")
    (broken / "run.json").unlink()
    (tmp_path / "run" / "again").symlink_to(whole[0], target_is_directory=True)
    linked = tmp_path / "run" / "linked"
    linked.mkdir()
    (linked / "run.json").symlink_to(whole[0] / "run.json")
    assert raw.trials(tmp_path / "run") == (whole, [broken])
