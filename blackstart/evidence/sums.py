"""SHA256SUMS: what a folder holds, file by file, strict enough that it cannot speak of anything outside."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SUMS, SIGNATURE, PUBLIC_KEY = "SHA256SUMS", "SHA256SUMS.sig", "public-key.pem"
PAGE, FACTS, RUNS = "evidence.html", "evidence.json", "runs"

#: Plain names alone: no hidden ones, no `..`, nothing that a shell or a terminal takes for something else.
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._@+=,-]*"
_PATH = re.compile(rf"{_NAME}(?:/{_NAME})*")
_LINE = re.compile(rf"([0-9a-f]{{64}})  ({_PATH.pattern})")


@dataclass(frozen=True)
class Problem:
    """What is wrong with one file, as `changed: …`; `path` is relative to the folder, fit for a terminal."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def is_plain(path: str) -> bool:
    """Whether `path` may stand in SHA256SUMS: relative, `/` between names, nothing unusual in them."""
    return _PATH.fullmatch(path) is not None


def sha256(path: Path) -> str:
    """The file's hash, 64 hexadecimal digits; read piece by piece, however big it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listing(folder: Path) -> tuple[list[str], list[Problem]]:
    """Every regular file below `folder`, sorted, and what is there but has no business in evidence.

    Nothing is followed: a symbolic link is a problem, whatever it points at.
    """
    files: list[str] = []
    problems: list[Problem] = []
    _list(folder, "", files, problems)
    return sorted(files), problems


def _list(folder: Path, prefix: str, files: list[str], problems: list[Problem]) -> None:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    if prefix and not found:
        problems.append(Problem(shown(prefix), "added: an empty folder"))
    for entry in found:
        path = f"{prefix}{entry.name}"
        if entry.is_symlink():
            problems.append(Problem(shown(path), "added: a symbolic link, which evidence never holds"))
        elif entry.is_dir(follow_symlinks=False):
            _list(folder / entry.name, f"{path}/", files, problems)
        elif entry.is_file(follow_symlinks=False):
            files.append(path)
        else:
            problems.append(Problem(shown(path), "added: neither a file nor a folder"))


def lines(hashes: Mapping[str, str]) -> bytes:
    """SHA256SUMS of these files, sorted by path, as `sha256sum -c` reads it."""
    return "".join(f"{hashes[path]}  {path}\n" for path in sorted(hashes)).encode()


def parse(data: bytes) -> tuple[dict[str, str], list[Problem]]:
    """The hash of every file that SHA256SUMS names, and what is wrong with the list itself."""
    hashes: dict[str, str] = {}
    problems: list[Problem] = []
    folded: dict[str, str] = {}
    rows = data.decode("utf-8", "replace").split("\n")
    if rows[-1]:
        problems.append(Problem(SUMS, "changed: its last line is not ended"))
    for number, row in enumerate(rows if rows[-1] else rows[:-1], start=1):
        match = _LINE.fullmatch(row)
        if match is None:
            problems.append(
                Problem(SUMS, f"changed: line {number} is no hash and plain relative path: {shown(row)}")
            )
            continue
        digest, path = match.groups()
        other = folded.setdefault(path.casefold(), path)
        if path in hashes:
            problems.append(Problem(SUMS, f"changed: line {number} names {path} a second time"))
        elif other != path:
            problems.append(
                Problem(SUMS, f"changed: line {number}: {path} differs from {other} by case alone")
            )
        elif path in (SUMS, SIGNATURE):
            problems.append(Problem(SUMS, f"changed: line {number} names {path}, which cannot be in it"))
        hashes[path] = digest
    return hashes, problems


def compare(folder: Path, hashes: Mapping[str, str], found: Iterable[str]) -> list[Problem]:
    """Every file that is missing, was added or changed, against what the list says."""
    problems = []
    there = set(found)
    for path in sorted({*hashes, *there} - {SUMS, SIGNATURE}):
        if path not in there:
            problems.append(Problem(path, "missing"))
        elif path not in hashes:
            problems.append(Problem(shown(path), f"added: {SUMS} does not name it"))
        elif (digest := sha256(folder / path)) != hashes[path]:
            told = f"changed: SHA-256 is {digest[:16]}…, {SUMS} says {hashes[path][:16]}…"
            problems.append(Problem(path, told))
    return problems


def shown(text: str) -> str:
    """A text that somebody else chose, harmless to a terminal and cut to what a message can bear."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return plain if len(plain) <= 160 else f"{plain[:157]}..."
