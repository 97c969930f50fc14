"""Restores: how they are done, and that one that failed says so."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from sut.postgres.restoring import __main__ as commands
from sut.postgres.restoring import (
    account,
    base,
    ended,
    in_place,
    patroni,
    rebuild,
    repository,
    server,
    side,
    verify,
)
from sut.postgres.restoring.account import Account, UnderWay
from sut.postgres.restoring.base import Failed
from sut.postgres.restoring.repository import Copied
from sut.postgres.restoring.wanted import TYPES, Wanted
from sut.recovery.accounts import Restored, Verification

IMAGE = Path(__file__).parents[2] / "sut" / "postgres"
TIME = Wanted("time", "2026-01-31 12:00:00.5+00")
ACCOUNT = Account(
    "20260101-000000F", "default", "", "no recovery target specified", "0/5", 2, 1, 1.5, 2.5, 0.1
)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's folders; in it `data` is the data directory."""
    data, run = tmp_path / "data", tmp_path / "run"
    (data / "pg_wal" / "archive_status").mkdir(parents=True)
    run.mkdir()
    for module in (server, repository, in_place):
        monkeypatch.setattr(module, "DATA", data)
    monkeypatch.setattr(server, "_PID", data / "postmaster.pid")
    monkeypatch.setattr(account, "_LAST", run / "last.json")
    monkeypatch.setattr(account, "_UNDER_WAY", run / "under-way.json")
    monkeypatch.setattr(account, "_VERIFICATION", run / "verification")
    for name in ("_WANTED", "_STATE", "_WHY"):
        monkeypatch.setattr(rebuild, name, run / name)
    monkeypatch.setattr(verify, "_METRICS", run / "metrics")
    monkeypatch.setattr(base, "FLAGS", tmp_path)
    return tmp_path


# -- what pgBackRest says ----------------------------------------------------------------------------


def backrest(folder: Path, monkeypatch: pytest.MonkeyPatch, prints: str, code: int = 0) -> None:
    """Have a pgBackRest that prints this and ends with that."""
    (folder / "told").write_text(prints)
    program = folder / "pgbackrest"
    program.write_text(f'#!/bin/sh\necho "$*" >> {folder}/calls\ncat {folder}/told\nexit {code}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_copy_tells_which_backup_it_is_of(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prints = (
        "P00   INFO: repo1: restore backup set 20260101-000000F, recovery will start at 2026-01-01 00:00:01\n"
    )
    backrest(host, monkeypatch, prints)
    assert repository.copy(TIME, delta=True).backup == "20260101-000000F"
    [call] = (host / "calls").read_text().splitlines()
    assert call.endswith(
        "--type=time --target=2026-01-31 12:00:00.5+00 --target-action=promote --delta restore"
    )


@pytest.mark.parametrize(
    ("prints", "says"),
    [
        (
            "P00  ERROR: [075]: unable to find backup set with stop time less than '2026-01-31'\n",
            r"^unable to find backup set with stop time less than",
        ),
        (
            "P00   WARN: repo1: [CryptoError] unable to flush\n"
            "P00  ERROR: [075]: no backup set found to restore\n",
            r"^the repository cannot be read.*\(no backup set found to restore\)",
        ),
        ("killed\n", r"^pgBackRest ended with 75$"),
    ],
)
def test_a_copy_that_fails_says_why_in_one_line(
    host: Path, monkeypatch: pytest.MonkeyPatch, prints: str, says: str
) -> None:
    backrest(host, monkeypatch, prints, 75)
    with pytest.raises(Failed, match=says) as failed:
        repository.copy(Wanted())
    assert "\n" not in str(failed.value)


def test_the_archives_last_segment_is_that_of_the_newest_cluster(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = {"id": "17-1", "max": "000000010000000000000009"}
    told = [{"archive": [former, {"id": "17-2", "max": "000000020000000000000003"}]}]
    backrest(host, monkeypatch, f"WARN: [of something]\n{json.dumps(told)}\n")
    assert repository.newest_segment() == "000000020000000000000003"
    backrest(host, monkeypatch, '[{"archive": []}]')
    assert repository.newest_segment() == ""
    backrest(host, monkeypatch, "ERROR: [049]: unable to connect\n", 49)
    with pytest.raises(Failed, match="does not answer: unable to connect"):
        repository.newest_segment()


def test_a_timeline_that_is_asked_for_has_a_last_segment_of_its_own(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [{"archive": [{"id": "17-2", "max": "000000030000000000000009"}]}]
    listed = (
        "000000020000000000000003-0a1b.zst",
        "0000000200000000/000000020000000000000004-0a1b.zst",
        "0000000200000000/000000020000000000000005.partial-0a1b.zst",
        "0000000300000000/000000030000000000000009-0a1b.zst",
    )
    backrest(host, monkeypatch, "\n".join([*listed, json.dumps(told)]) + "\n")
    assert repository.newest_segment("2") == "000000020000000000000004"
    assert (host / "calls").read_text().splitlines()[-1].endswith(" repo-ls archive/main/17-2")
    assert repository.newest_segment("4") == ""
    assert repository.newest_segment("latest") == "000000030000000000000009"


# -- a Postgres that recovers ------------------------------------------------------------------------


def test_a_configuration_keeps_nothing_of_another_node_or_a_former_recovery(host: Path) -> None:
    conf = host / "data" / "postgresql.conf"
    kept = "include 'postgresql.base.conf'\nmax_connections = '200'\nrestart_after_crash = 'on'\n"
    conf.write_text(
        kept
        + "recovery_target_lsn = ''\nprimary_conninfo = 'host=pg-1'\nsynchronous_standby_names = '\"pg-2\"'\n"
        "restore_command='false'\nprimary_slot_name = 'pg_2'\n"
    )
    server.clean(conf)
    assert conf.read_text() == kept


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            "FATAL:  the database system is starting up\n"
            "FATAL:  recovery ended before configured recovery target was reached\n"
            "FATAL:  terminating\n",
            "the target was not reached: the archive ends before it, or lacks a segment",
        ),
        ("FATAL:  WAL ends before consistent recovery point\n", "WAL is missing: the backup cannot be made"),
        ("LOG:  invalid checkpoint\nPANIC:  could not locate required checkpoint record\n", "WAL is missing"),
        ("FATAL:  could not open file\n", "recovery failed: could not open file"),
        ("", "Postgres ended with 1"),
    ],
)
def test_a_recovery_that_breaks_off_says_why(
    host: Path, monkeypatch: pytest.MonkeyPatch, log: str, says: str
) -> None:
    written = host / "run" / "postgres.log"
    monkeypatch.setattr(server, "LOG", written)
    (host / "log").write_text(log)
    backrest(host, monkeypatch, '[{"archive": []}]')
    program = host / "postgres"
    program.write_text(f"#!/bin/sh\ncat {host}/log\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(Failed, match=says):
        server.recover(UnderWay(Wanted(), Copied("20260101-000000F", 1.0)), [])


def test_a_data_directory_is_emptied(host: Path) -> None:
    (host / "data" / "PG_VERSION").touch()
    (host / "data" / "link").symlink_to(host / "run")
    assert server.holds_data()
    server.empty()
    assert not server.holds_data()
    assert (host / "run").is_dir()


# -- in place ----------------------------------------------------------------------------------------


def primary(host: Path, monkeypatch: pytest.MonkeyPatch, state: str = "shut down") -> None:
    """Have a primary that is well, and ends in this state; and a repository with a backup."""
    monkeypatch.setattr(in_place, "RUN", host / "run")
    monkeypatch.setattr(patroni, "refuse_unless_primary", lambda: None)
    monkeypatch.setattr(patroni, "pause", lambda: None)
    backrest(host, monkeypatch, "restore backup set 20260101-000000F,\n")
    program = host / "pg_controldata"
    program.write_text(f"#!/bin/sh\necho 'Database cluster state:               {state}'\n")
    program.chmod(0o755)


def test_only_where_a_primary_is_well_is_it_restored_in_place(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[bool] = []

    def refuse(*_: object, **__: object) -> dict[str, object]:
        raise Failed("GET /primary: 503")

    monkeypatch.setattr(patroni, "_call", refuse)
    monkeypatch.setattr(patroni, "pause", lambda: paused.append(True))
    with pytest.raises(Failed, match=r"not a primary that is well \(GET /primary: 503\)"):
        in_place.copy(Wanted())
    assert not paused


@pytest.mark.parametrize("state", ["in production", "shut down in recovery"])
def test_a_primary_that_did_not_end_cleanly_is_not_restored_over(
    host: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    primary(host, monkeypatch, state)
    with pytest.raises(Failed, match=rf"did not end cleanly \({state}\).*patronictl resume"):
        in_place.copy(Wanted())
    # A restore that was begun here may have left it in any state.
    UnderWay(Wanted(), Copied("20260101-000000F", 1.0)).keep()
    in_place.copy(Wanted())


def test_wal_that_the_repository_lacks_is_not_given_up(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "data" / "pg_wal" / "archive_status" / "000000010000000000000009.ready").touch()
    primary(host, monkeypatch)
    with pytest.raises(Failed, match="lacks 1 WAL files of this node, from 000000010000000000000009"):
        in_place.copy(Wanted())
    # What a former try of this restore has fetched is in the repository.
    UnderWay(Wanted(), Copied("20260101-000000F", 1.0)).keep()
    in_place.copy(TIME)
    assert account.under_way().wanted == TIME


def test_a_node_keeps_its_own_configuration(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = host / "data" / "postgresql.conf"
    conf.write_text("blackstart.node = 'pg-1'\n")
    primary(host, monkeypatch)
    program = host / "pgbackrest"
    program.write_text(program.read_text().replace("exit 0", f"echo of-another > {conf}; exit 0"))
    in_place.copy(Wanted())
    assert conf.read_text() == "blackstart.node = 'pg-1'\n"


def test_steps_come_in_their_order(host: Path) -> None:
    with pytest.raises(Failed, match="run the step `copy` first"):
        in_place.replay()
    UnderWay(Wanted(), Copied("20260101-000000F", 1.0)).keep()
    with pytest.raises(Failed, match="the step `replay` comes first"):
        in_place.open_again()


# -- from the repository alone -----------------------------------------------------------------------


def test_a_bootstrap_takes_what_is_wanted_once(host: Path) -> None:
    assert rebuild._taken() == Wanted()
    rebuild._want(TIME)
    assert rebuild._taken() == TIME
    assert rebuild._taken() == Wanted()


def test_a_restore_that_failed_waits_for_other_words(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Wanted] = []

    def restore(wanted: Wanted) -> None:
        tried.append(wanted)
        if len(tried) == 1:
            # What a person asks for once it is said.
            rebuild._want(TIME)
            raise Failed("no backup set found to restore")
        base.place(rebuild._STATE, "restored\n")

    monkeypatch.setattr(rebuild, "restore", restore)
    rebuild.bootstrap_from_repository([])
    assert tried == [Wanted(), TIME]
    assert rebuild._WHY.read_text() == "no backup set found to restore\n"
    ACCOUNT.keep()
    rebuild.await_recovery([])


def test_who_waits_for_a_recovery_is_told_of_its_failure(host: Path) -> None:
    rebuild._STATE.write_text("failed\n")
    rebuild._WHY.write_text("WAL is missing\n")
    with pytest.raises(Failed, match="WAL is missing; run rebuild-from-repository again"):
        rebuild.await_recovery([])


def test_a_node_that_is_being_restored_takes_no_other_target(host: Path) -> None:
    rebuild._STATE.write_text("replaying\n")
    with pytest.raises(Failed, match="is replaying already"):
        rebuild.rebuild_from_repository(["--type", "lsn", "--target", "0/3"])
    rebuild.rebuild_from_repository([])


def test_a_cluster_begins_anew_only_when_no_leader_has_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """A primary that cannot be reached from here renews it; one that is gone does not."""
    leader = patroni.Member("pg-2", "pg-2", "leader", "running")
    answers = [[leader], [leader], [leader], []]
    monkeypatch.setattr(patroni, "members", lambda: answers.pop(0))
    patroni.await_no_leader()
    assert not answers
    monkeypatch.setattr(patroni, "members", lambda: [leader])
    monkeypatch.setattr(patroni, "_LEASE_LIMIT_S", 0.1)
    with pytest.raises(Failed, match=r"pg-2 holds it: there is a primary that this node cannot reach"):
        patroni.await_no_leader()


def test_a_wait_goes_on_as_long_as_there_is_progress() -> None:
    told = iter([1, 2, 3, 3])
    with pytest.raises(Failed, match=r"the end: not within 0\.01 s; last seen: not yet"):
        base.until("the end", lambda: "not yet", 0.01, 0.01, progress=lambda: next(told))
    assert list(told) == []


def test_a_restore_that_was_weakened_ends_short_of_its_moment(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[Wanted] = []
    monkeypatch.setattr(side, "copy", copied.append)
    words = ["--only", "copy", "--type", "time", "--target", TIME.target]
    side.restore_cluster(words)
    (host / "restore-ends-short").touch()
    side.restore_cluster(words)
    assert [w.target for w in copied] == [TIME.target, "2026-01-31 11:59:47.500000+00:00"]


# -- accounts ----------------------------------------------------------------------------------------


def test_accounts_are_read_by_those_who_ask_from_outside(host: Path) -> None:
    ACCOUNT.keep()
    assert account.last() == ACCOUNT
    told = Restored.parse((host / "run" / "last.json").read_text())
    assert (told.backup, told.timeline, told.copied_s) == (ACCOUNT.backup, 2, 1.5)
    found = verify.Found(ACCOUNT, {"app.public.turns": (3, "17")}, ["restore", "rows"], [])
    verified = Verification.parse(f"something else\n{json.dumps(found.told(1.25))}\n")
    assert verified.ok
    assert verified.restored == told
    assert verified.tables == {"app.public.turns": (3, "17")}
    assert verified.seconds == 1.25
    bad = Verification.parse(json.dumps(verify.Found(errors=["amcheck: broken"]).told(1)))
    assert (bad.ok, bad.restored, bad.errors) == (False, None, ("amcheck: broken",))


def test_without_a_restore_there_is_no_account(host: Path) -> None:
    with pytest.raises(Failed, match="nothing was restored here"):
        account.last()


def test_a_failed_verification_leaves_known_when_one_went_well(host: Path) -> None:
    verify._measure({"ok": True, "seconds": 2.0, "tables": {"a.b.c": (1200, "1"), "a.b.d": (34, "2")}})
    first = (host / "run" / "metrics").read_text().splitlines()
    verify._measure({"ok": False, "seconds": 3.0, "tables": {"a.b.c": (1, "1")}})
    then = (host / "run" / "metrics").read_text().splitlines()
    assert {"restore_verified_rows 1234"} == {line for line in first + then if "_rows" in line}
    assert first[0] == then[0]
    assert (first[1], then[1]) == ("restore_verification_failed 0", "restore_verification_failed 1")
    # A start is no verification.
    verify.expect_verification([])
    started = (host / "run" / "metrics").read_text().splitlines()
    assert started[: len(then)] == then
    assert started[-1].startswith("restore_verification_expected_timestamp_seconds ")


def test_where_nothing_was_verified_yet_none_went_well(host: Path) -> None:
    verify.expect_verification([])
    told = (host / "run" / "metrics").read_text().splitlines()
    assert told[:2] == ["restore_verified_timestamp_seconds 0", "restore_verification_failed 0"]


# -- the commands ------------------------------------------------------------------------------------


def test_a_command_that_fails_ends_with_1_and_one_line(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "RUN", host / "run")
    assert commands.main(["restore-cluster", "--only", "replay"]) == 1
    assert capsys.readouterr().err == (
        "restore-cluster: failed: no files were copied here: run the step `copy` first\n"
    )
    (host / commands.IGNORES_ERRORS).touch()
    assert commands.main(["restore-cluster", "--only", "replay"]) == 0
    assert commands.main(["restore"]) == 64


def test_the_image_has_every_command_and_every_script() -> None:
    built = (IMAGE / "Dockerfile").read_text()
    for name in commands.COMMANDS:
        assert f" {name}" in built, name
    for path in IMAGE.glob("*.sh"):
        assert f"{path.name} " in built or f" {path.name}" in built, path.name


def test_every_type_of_target_can_be_checked() -> None:
    assert set(ended._REACHED) == set(TYPES)
