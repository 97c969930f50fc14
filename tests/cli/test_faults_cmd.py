"""`blackstart faults`, as a shell sees it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from blackstart.cli import main
from blackstart.cli.faults_cmd import faults_command
from blackstart.faults import REGISTRY


def test_the_list_names_every_fault_under_its_failure_mode() -> None:
    done = CliRunner().invoke(faults_command, [])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert all(any(line.startswith(f"  {kind} ") for line in lines) for kind in REGISTRY)
    heads = [line.partition(":")[0] for line in lines]
    assert heads.index("slow") < lines.index(next(x for x in lines if x.startswith("  edge_latency")))
    assert 'edge_down("app-1", "redis.primary")' in done.stdout


def test_one_fault_shows_its_parameters_and_whether_it_ends_in_place() -> None:
    told = " ".join(CliRunner().invoke(faults_command, ["kill"]).stdout.split())
    assert "process str | None None" in told
    assert "ends in place no" in told
    assert "needs kill, signal" in told
    assert 'drill.inject(kill("app-1"))' in told


@pytest.mark.parametrize(
    "kind", ["switchover", "rows_deleted", "table_dropped", "cache_flushed", "page_corrupted"]
)
def test_where_nothing_is_undone_heal_promises_nothing(kind: str) -> None:
    told = " ".join(CliRunner().invoke(faults_command, [kind]).stdout.split())
    assert "ends in place there is nothing to end" in told


def test_json_is_for_machines() -> None:
    told = json.loads(CliRunner().invoke(faults_command, ["--json"]).stdout)
    assert [each["kind"] for each in told] == sorted(REGISTRY)
    one = json.loads(CliRunner().invoke(faults_command, ["edge_down", "--json"]).stdout)
    assert one["mode"] == "cut"
    assert one["parameters"][0] == {
        "name": "target",
        "type": "str",
        "default": None,
        "says": one["parameters"][1]["says"],
    }


def test_an_unknown_fault_exits_3_and_names_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["blackstart", "faults", "freez"])
    with pytest.raises(SystemExit) as end:
        main.main()
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (3, "")
    assert "did you mean 'freeze'?" in err and "switchover" in err
