"""Waiting for a standby to replay the log, with a stand-in for psql."""

from __future__ import annotations

from pathlib import Path

import pytest

from .programs import Programs

SCRIPT = Path(__file__).parents[2] / "sut" / "postgres" / "await-replay.sh"
#: Behind until it has been asked as often as the file `after` says.
PSQL = """
echo "$*" >> "$FOLDER/calls"
case "$*" in
  *'>='*) [ "$(wc -l < "$FOLDER/calls")" -gt "$(cat "$FOLDER/after")" ] && echo t || echo f ;;
  *) echo 0/2000000 ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path, {"psql": PSQL})


def test_it_waits_until_the_position_is_replayed(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "after").write_text("2")
    done = programs.run(SCRIPT, "0/3000148", cwd=tmp_path, SWITCH=str(tmp_path / "switch"))
    assert (done.returncode, done.stdout) == (0, "replayed up to 0/3000148\n")
    assert len(programs.calls) == 3
    assert all("pg_last_wal_replay_lsn() >= '0/3000148'" in call for call in programs.calls)


def test_a_standby_that_stays_behind_is_an_error_that_says_how_far_it_is(
    programs: Programs, tmp_path: Path
) -> None:
    (tmp_path / "after").write_text("1000")
    done = programs.run(SCRIPT, "0/3000148", cwd=tmp_path, SWITCH=str(tmp_path / "switch"), LIMIT_S="0")
    assert done.returncode == 1
    assert done.stderr == "after 0 s: replayed up to 0/2000000, not to 0/3000148\n"


def test_the_control_waits_for_nothing(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "after").write_text("1000")
    (tmp_path / "switch").touch()
    done = programs.run(SCRIPT, "0/3000148", cwd=tmp_path, SWITCH=str(tmp_path / "switch"))
    assert (done.returncode, programs.calls) == (0, [])
