"""The steps of the recovery runbooks that reckon, in bash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from blackstart.runbook.parse import read_runbook
from sut.app.service.content import Box, keys
from sut.settings import CONTENT_KEY, NEXT_CONTENT_KEY

ROOT = Path(__file__).parents[2]
#: Where the log is, its oldest segment that is of the timeline of now, and the one that is written.
PLACE, OLDEST, NEWEST = "/data/pg_wal", "000000020000000000000003", "000000020000000000000004"
LISTED = f"000000010000000000000009 {OLDEST} {NEWEST} 00000002.history archive_status"
#: The answers of the engine's command line, by what it is asked; what it does not know ends with 1.
DOCKER = rf"""#!/bin/bash
all="$*"
case $all in
  *pg_is_in_recovery*) case $all in *-pg-2*) echo f ;; *) echo t ;; esac ;;
  *pg_relation_filenode*) echo 1663/16384/16500 ;;
  *data_directory*) echo {PLACE} ;;
  *'pg_walfile_name'*) echo {NEWEST} ;;
  *'ls {PLACE}'*) printf '%s\n' {LISTED} ;;
  *to_char*) echo "$all" | sed "s/.*timestamptz '\([^']*\)'.*/\1/" ;;
  *"interval '1 microsecond'"*) echo "$all" | sed "s/.*timestamptz '\([^']*\)'.*/before \1/" ;;
  *'--rmgr=Heap --relation=1663/16384/16500 {OLDEST} {NEWEST}') cat "$LOGS/heap"; exit 1 ;;
  *'pg_waldump -p {PLACE} --rmgr=Transaction'*' {OLDEST} {NEWEST}') cat "$LOGS/transactions"; exit 1 ;;
  *restore-cluster*) echo "asked: ${{all#*restore-cluster }}" ;;
  'ps '*) echo "${{PS:-}}" ;;
  'port '*) echo 127.0.0.1:1 ;;
  *'max(at)'*|*check-archiving) ;;
  *inspect*bs-r1-app-1) echo 2026-01-31T12:00:00.123456789Z ;;
  *"at < '2026-01-31T12:00:00.123456789Z' ORDER BY seq DESC"*) echo "$ANSWER" ;;
  'exec -i bs-r1-app-1 python -c'*) exec "$PYTHON" -c "$6" ;;
  *) echo "unexpected: $all" >&2; exit 1 ;;
esac
"""


def heap(xid: int, lsn: str, what: str) -> str:
    """A change of a table, as pg_waldump prints it."""
    head = f"rmgr: Heap        len (rec/tot):     59/    59, tx: {xid:10}, lsn: {lsn}, prev 0/02FFFFC8"
    return f"{head}, desc: {what}, flags: 0x00, blkref #0: rel 1663/16384/16500 blk 0\n"


def commit(xid: int, lsn: str, at: str, more: str = "") -> str:
    """The end of a transaction, as pg_waldump prints it."""
    head = f"rmgr: Transaction len (rec/tot):     34/    34, tx: {xid:10}, lsn: {lsn}, prev 0/03000148"
    return f"{head}, desc: COMMIT {at} UTC{more}\n"


HEAP = (
    heap(740, "0/03000028", "DELETE xmax: 740, off: 1, infobits: [KEYS_UPDATED]")
    + heap(741, "0/03000068", "INSERT off: 7")
    + heap(1742, "0/03000108", "DELETE xmax: 1742, off: 2, infobits: [KEYS_UPDATED]")
    + heap(1742, "0/03000148", "DELETE xmax: 1742, off: 3, infobits: [KEYS_UPDATED]")
)
TRANSACTIONS = (
    commit(740, "0/03000048", "2026-01-31 12:00:09.000000")
    + commit(741, "0/03000070", "2026-01-31 12:00:00.000001")
    + commit(1742, "0/03000188", "2026-01-31 12:00:00.123456")
)
DROPPED = (
    commit(1750, "0/03000200", "2026-01-31 12:00:05.000001", "; rels: base/16384/16490")
    + commit(
        1760,
        "0/03000400",
        "2026-01-31 12:00:07.654321",
        "; rels: base/16384/16500 base/16384/16505; inval msgs: catcache 81",
    )
    + commit(1761, "0/03000640", "2026-01-31 12:00:08.000000")
)


@pytest.fixture
def host(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell on a host whose engine answers as DOCKER does."""
    program = tmp_path / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOGS": str(tmp_path), "RUN": "r1"}


def follow(
    runbook: str, *steps: str, env: dict[str, str], show: str = ""
) -> subprocess.CompletedProcess[str]:
    """The steps, as a drill follows them, and then the value of a variable."""
    blocks = read_runbook(ROOT / "runbooks" / f"{runbook}.md").steps(*steps)
    script = "set -euo pipefail\n" + "".join(block.code for block in blocks)
    script += f'echo "shown: {show}"\n' if show else ""
    return subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, timeout=30, check=False
    )


def test_the_moment_of_a_delete_is_that_of_the_transaction_that_deleted_most(
    host: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "heap").write_text(HEAP)
    (tmp_path / "transactions").write_text(TRANSACTIONS)
    done = follow("rows-deleted", "find", "moment", env=host, show="$XID $COMMIT_LSN $BEFORE_TIME $PRIMARY")
    assert done.returncode == 0, done.stderr
    assert "shown: 1742 0/03000188 before 2026-01-31 12:00:00.123456 UTC bs-r1-pg-2" in done.stdout


def test_the_moment_of_a_delete_is_not_before_all_was_still_well(
    host: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "heap").write_text(HEAP)
    (tmp_path / "transactions").write_text(TRANSACTIONS)
    env = {**host, "SINCE": "2026-01-31 12:00:05"}
    done = follow("rows-deleted", "find", "moment", env=env, show="$XID $COMMIT_LSN")
    assert "shown: 740 0/03000048" in done.stdout, done.stderr


def test_what_a_savepoint_deleted_is_its_transactions(host: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "heap").write_text(HEAP)
    within = "; subxacts: 1742 1743; inval msgs: catcache 81"
    (tmp_path / "transactions").write_text(
        commit(740, "0/03000048", "2026-01-31 12:00:09.000000")
        + commit(1741, "0/03000188", "2026-01-31 12:00:00.123456", within)
    )
    done = follow("rows-deleted", "find", "moment", env=host, show="$XID $COMMIT_LSN")
    assert "shown: 1741 0/03000188" in done.stdout, done.stderr


def test_where_nothing_was_deleted_there_is_no_moment(host: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "heap").write_text("")
    (tmp_path / "transactions").write_text("")
    done = follow("rows-deleted", "find", "moment", env=host)
    assert done.returncode != 0
    assert "no DELETE from turns" in done.stderr


@pytest.mark.parametrize("runbook", ["table-dropped", "vectors-lost"])
def test_the_moment_of_a_drop_is_that_of_the_last_transaction_that_removed_files(
    host: dict[str, str], tmp_path: Path, runbook: str
) -> None:
    (tmp_path / "transactions").write_text(DROPPED)
    done = follow(runbook, "find", "moment", env=host, show="$AIM ${TARGET:-}")
    assert done.returncode == 0, done.stderr
    assert "shown: before 2026-01-31 12:00:07.654321 UTC \n" in done.stdout


@pytest.mark.parametrize("told", [DROPPED, ""])
@pytest.mark.parametrize("runbook", ["table-dropped", "vectors-lost"])
def test_a_moment_of_ones_own_overrules_what_is_found(
    host: dict[str, str], tmp_path: Path, runbook: str, told: str
) -> None:
    (tmp_path / "transactions").write_text(told)
    wanted = "2026-01-31 11:00:00+00"
    done = follow(runbook, "find", "moment", env={**host, "TARGET": wanted}, show="$AIM")
    assert f"shown: {wanted}" in done.stdout, done.stderr


def test_a_standby_that_does_not_name_its_tables_is_not_said_to_be_well(host: dict[str, str]) -> None:
    done = follow("page-corrupted", "find", "standby", env=host)
    assert done.returncode == 1
    assert "can read every table" not in done.stdout


@pytest.mark.parametrize("runbook", ["rows-deleted", "backup-damaged", "postgres-primary-down"])
def test_of_several_runs_none_is_taken_for_the_one_that_is_meant(host: dict[str, str], runbook: str) -> None:
    env = {name: value for name, value in host.items() if name != "RUN"} | {"PS": "r1\nr2"}
    done = follow(runbook, "find", env=env)
    assert done.returncode == 1
    assert "set RUN to one of r1 r2" in done.stdout


@pytest.mark.parametrize(("there", "goes_on"), [("", True), ("bs-r1-app-1", True), ("bs-r1-pg-2", False)])
def test_a_cluster_of_which_a_node_is_there_is_not_restored_over(
    host: dict[str, str], there: str, goes_on: bool
) -> None:
    done = follow("postgres-lost", "gone", env={**host, "PS": there})
    assert (done.returncode == 0) is goes_on
    assert goes_on or "look at its disk first" in done.stdout


def seen_to_be_readable(
    host: dict[str, str], folder: Path, answer: str, opens: str
) -> subprocess.CompletedProcess[str]:
    """The black start's verification, where that is the newest turn of before and those are the keys."""
    (folder / "content-keys").write_text(opens)
    curl = folder / "curl"
    curl.write_text("#!/bin/sh\n")
    curl.chmod(0o755)
    own = {"ANSWER": answer, "SECRETS_DIR": str(folder), "PYTHON": sys.executable}
    return follow("black-start", "verify", env={**host, **own, "NEW": "pg-1", "REPO": "bs-r1-repo-1"})


@pytest.mark.parametrize(
    ("opens", "well"), [(f"{NEXT_CONTENT_KEY}\n{CONTENT_KEY}\n", True), (CONTENT_KEY, False)]
)
def test_a_black_start_without_the_newest_key_of_content_is_not_said_to_be_well(
    host: dict[str, str], tmp_path: Path, opens: str, well: bool
) -> None:
    answer = Box(lambda: keys(NEXT_CONTENT_KEY)).seal("the answer")
    done = seen_to_be_readable(host, tmp_path, answer, opens)
    assert (done.returncode == 0) is well, done.stderr
    assert ("can be read" in done.stdout) is well
    assert ("no key of the bundle opens the newest turn" in done.stderr) is not well
    assert "the answer" not in done.stdout


@pytest.mark.parametrize("answer", ["", "in plain words"])
def test_a_black_start_without_sealed_content_says_that_no_key_was_tried(
    host: dict[str, str], tmp_path: Path, answer: str
) -> None:
    done = seen_to_be_readable(host, tmp_path, answer, Fernet.generate_key().decode())
    assert done.returncode == 0, done.stderr
    assert "no sealed turn of before" in done.stdout


@pytest.mark.parametrize(
    ("env", "asked"),
    [
        ({"BEFORE_TIME": "then", "COMMIT_LSN": "0/3"}, "--type time --target then"),
        ({"BEFORE_TIME": "then", "COMMIT_LSN": "0/3", "TYPE": "lsn"}, "--type lsn --target 0/3"),
        ({"BEFORE_TIME": "then", "TARGET": "earlier"}, "--type time --target earlier"),
        (
            {"TYPE": "name", "TARGET": "before-release-7", "SET": "20260131-000000F"},
            "--type name --target before-release-7 --set 20260131-000000F",
        ),
    ],
)
def test_a_copy_goes_to_the_moment_that_was_found_or_set(
    host: dict[str, str], env: dict[str, str], asked: str
) -> None:
    done = follow("rows-deleted", "copy", env={**host, "SIDE": "side", **env}, show="${TARGET:-none}")
    assert f"asked: --only copy {asked}\n" in done.stdout, done.stderr
    assert f"shown: {env.get('TARGET', 'none')}" in done.stdout


def test_a_point_in_the_log_has_no_moment_by_itself(host: dict[str, str]) -> None:
    done = follow("rows-deleted", "copy", env={**host, "SIDE": "side", "TYPE": "name", "BEFORE_TIME": "then"})
    assert done.returncode != 0
    assert "set TARGET to the moment before the mistake" in done.stderr


def test_a_second_recovery_in_a_shell_goes_to_its_own_moment(host: dict[str, str]) -> None:
    twice = read_runbook(ROOT / "runbooks" / "rows-deleted.md").steps("copy")[0].code
    script = f"set -euo pipefail\nBEFORE_TIME=first\n{twice}BEFORE_TIME=second\n{twice}"
    done = subprocess.run(
        ["bash", "-c", script], env={**host, "SIDE": "side"}, capture_output=True, text=True, check=False
    )
    assert "--target second" in done.stdout, done.stderr
