"""SHA256SUMS: written as coreutils reads it, read as if an enemy had written it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.evidence import sums

HASH = "0" * 64
NAMES = st.from_regex(
    r"[A-Za-z0-9_][A-Za-z0-9._@+=,-]{0,8}(/[A-Za-z0-9_][A-Za-z0-9._@+=,-]{0,8}){0,3}", fullmatch=True
)


@given(st.dictionaries(NAMES, st.binary(max_size=4), max_size=8))
def test_what_is_written_is_read_again(files: dict[str, bytes]) -> None:
    by_case = {name.casefold(): name for name in files if name not in (sums.SUMS, sums.SIGNATURE)}
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in by_case.values()}
    assert sums.parse(sums.lines(hashes)) == (hashes, [])


@pytest.mark.parametrize(
    "path",
    [
        "../evidence.html",
        "runs/../../x",
        "/etc/passwd",
        "./evidence.html",
        "runs//x",
        "runs/",
        "-",
        "-x",
        ".hidden",
        "a b",
        "a\\b",
        "a\tb",
        "\x1b[2Jx",
        "ünï",
        "",
    ],
)
def test_a_path_that_could_mean_anything_else_is_refused(path: str) -> None:
    assert not sums.is_plain(path)
    hashes, problems = sums.parse(f"{HASH}  {path}\n".encode())
    assert hashes == {} and [p.path for p in problems] == [sums.SUMS]
    assert all(c.isprintable() for c in str(problems[0]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HASH}  a\n{HASH}  a\n", "a second time"),
        (f"{HASH}  page\n{HASH}  Page\n", "differs from page by case alone"),
        (f"{HASH}  SHA256SUMS\n", "which cannot be in it"),
        (f"{HASH}  SHA256SUMS.sig\n", "which cannot be in it"),
        (f"{HASH}  a", "its last line is not ended"),
        (f"{HASH} a\n", "line 1 is no hash"),
        (f"{HASH} *a\n", "line 1 is no hash"),
        (f"{HASH.replace('0', 'A')}  a\n", "line 1 is no hash"),
        (f"{HASH}  a\r\n", "line 1 is no hash"),
        (f"\n{HASH}  a\n", "line 1 is no hash"),
    ],
)
def test_a_list_that_is_not_as_we_write_it_is_told(text: str, said: str) -> None:
    assert any(said in problem.what for problem in sums.parse(text.encode())[1])


def test_bytes_that_are_no_text_are_told() -> None:
    assert sums.parse(b"\xff\xfe\n")[1]


def test_a_listing_follows_nothing(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").write_text("a")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe")
    files, problems = sums.listing(tmp_path)
    assert files == ["runs/a"]
    assert [(p.path, p.what.split(",")[0]) for p in problems] == [
        ("empty/", "added: an empty folder"),
        ("link", "added: a symbolic link"),
        ("loop", "added: a symbolic link"),
        ("pipe", "added: neither a file nor a folder"),
    ]


def test_a_file_is_hashed_whole_however_big(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        for _ in range(48):
            file.write(b"x" * (1 << 20))
        file.write(b"the end")
    whole = hashlib.sha256(b"x" * (48 << 20))
    whole.update(b"the end")
    assert sums.sha256(path) == whole.hexdigest()


def test_differences_are_told_by_name(tmp_path: Path) -> None:
    for name in ("same", "changed", "added"):
        (tmp_path / name).write_text(name)
    hashes = {"same": hashlib.sha256(b"same").hexdigest(), "changed": HASH, "missing": HASH}
    found = sums.compare(tmp_path, hashes, ["added", "changed", "same"])
    assert [(p.path, p.what.partition(":")[0]) for p in found] == [
        ("added", "added"),
        ("changed", "changed"),
        ("missing", "missing"),
    ]


def test_a_name_that_would_write_to_the_terminal_is_made_harmless() -> None:
    assert sums.shown("a\x1b[31m\nb\udcff") == "a\\x1b[31m\\nb\\udcff"
