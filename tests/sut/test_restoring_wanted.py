"""What a restore is asked for, and that one that did not end there is no success."""

from __future__ import annotations

import pytest

from sut.postgres.restoring.base import Failed
from sut.postgres.restoring.ended import End, check, end_of, position
from sut.postgres.restoring.wanted import Wanted, parse

MB4 = 4 << 20
STOPPED = "LOG:  recovery stopping before commit of transaction 7\n"
TIME = Wanted("time", "2026-01-31 12:00:00.5+00")


# -- what is wanted ----------------------------------------------------------------------------------


def test_options_say_what_is_wanted() -> None:
    wanted, only = parse(
        "restore-cluster", ["--type", "time", "--target", TIME.target, "--only", "copy"], ["copy"]
    )
    assert (wanted, only) == (TIME, "copy")
    assert wanted.options == ["--type=time", f"--target={TIME.target}", "--target-action=promote"]
    assert parse("restore-cluster", [])[0].options == ["--type=default"]
    words = ["--type", "lsn", "--target", "0/3000148", "--set", "20260101-000000F", "--timeline", "3"]
    assert parse("restore-cluster", words)[0].options == [
        "--type=lsn",
        "--target=0/3000148",
        "--target-exclusive",
        "--target-action=promote",
        "--set=20260101-000000F",
        "--target-timeline=3",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--type", "time"], "--type time takes --target a time with its zone"),
        (["--type", "time", "--target", "2026-01-31 12:00:00"], "write a time with its zone"),
        (["--type", "time", "--target", "yesterday"], "write a time with its zone"),
        (["--type", "lsn", "--target", "3000148"], "write an LSN"),
        (["--target", "0/3"], "--type default takes no --target"),
        (["--type", "immediate", "--target", "0/3"], "takes no --target"),
        (["--type", "name"], "takes --target the name"),
        (["--timeline", "old"], "latest or a number"),
        # That of the backup: its number says as much, and lets its end be checked.
        (["--timeline", "current"], "latest or a number"),
        (["--type", "xid", "--target", "7"], "invalid choice"),
    ],
)
def test_what_does_not_go_together_is_refused(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("restore-cluster", words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


# -- where it ended ----------------------------------------------------------------------------------


def test_the_last_line_of_a_history_says_where_the_timeline_begins() -> None:
    text = '1\t0/3000000\tno recovery target specified\n\n2\t0/5000148\tat restore point "a"\n'
    assert end_of(text) == End(2, "0/5000148", 'at restore point "a"')
    with pytest.raises(Failed, match="cannot be read"):
        end_of("")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (TIME, "before 2026-01-31 12:00:00.6+00"),
        (TIME, "after 2026-01-31 12:00:00.5+00"),
        (Wanted("lsn", "0/3000148"), "before LSN 0/3000148"),
        (Wanted("name", "a"), 'at restore point "a"'),
        (Wanted("immediate"), "reached consistency"),
    ],
)
def test_a_target_is_reached_if_postgres_says_that_it_stopped_for_it(wanted: Wanted, reason: str) -> None:
    check(wanted, End(1, "0/3000148", reason), STOPPED, "", MB4)
    with pytest.raises(Failed, match="does not say that it stopped"):
        check(wanted, End(1, "0/3000148", reason), "LOG:  redo done\n", "", MB4)
    with pytest.raises(Failed, match="ended for another reason: no recovery target specified"):
        check(wanted, End(1, "0/3000148", "no recovery target specified"), STOPPED, "", MB4)


def test_another_restore_point_is_not_the_one() -> None:
    with pytest.raises(Failed, match="not at 'a'"):
        check(Wanted("name", "a"), End(1, "0/3", 'at restore point "ab"'), STOPPED, "", MB4)


@pytest.mark.parametrize(
    ("parent", "lsn", "newest", "whole"),
    [
        (1, "0/C00000", "000000010000000000000003", True),
        (1, "0/BFFFFF", "000000010000000000000003", False),
        (1, "0/C00000", "000000020000000000000003", False),  # it did not follow the newest timeline
        (2, "0/800000", "000000010000000000000003", True),  # of timeline 2 no segment has arrived yet
        (1, "1/0", "000000010000000000000003", True),
        (1, "0/0", "", True),
    ],
)
def test_without_a_target_all_of_the_archive_must_be_replayed(
    parent: int, lsn: str, newest: str, whole: bool
) -> None:
    end = End(parent, lsn, "no recovery target specified")
    if whole:
        check(Wanted(), end, "", newest, MB4)
        return
    with pytest.raises(Failed, match=f"WAL is missing: recovery ended at {lsn}"):
        check(Wanted(), end, "", newest, MB4)
    # `newest` is of the timeline that was asked for.
    with pytest.raises(Failed, match="WAL is missing"):
        check(Wanted(timeline=str(int(newest[:8], 16))), end, "", newest, MB4)


def test_positions_are_numbers() -> None:
    assert position("1/10") == (1 << 32) + 16
