"""The files that prove a trial, copied without secrets: history, events and run.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from blackstart.evidence.sums import sha256
from blackstart.measure.run import EVENTS, HISTORY
from blackstart.model.errors import EvidenceError
from blackstart.report.redact import redact, redact_deep

RUN = "run.json"


def trials(run: Path) -> tuple[list[Path], list[Path]]:
    """The folders of all trials below `run`, and those of trials that ended without a run.json; both sorted.

    Symbolic links are not followed: `latest` points at runs that are met anyway.
    """
    marks = {
        name: {file.parent for file in run.rglob(name) if _own(file, run)} for name in (RUN, HISTORY, EVENTS)
    }
    whole = marks[RUN]
    return sorted(whole), sorted((marks[HISTORY] | marks[EVENTS]) - whole)


def copy(source: Path, target: Path, secrets: Iterable[str] = ()) -> dict[str, str]:
    """Copy a trial's files to the folder `target`; the original's SHA-256 of each that was masked, by name.

    A file in which nothing is secret is copied byte for byte. Raises EvidenceError where one is missing.
    """
    known = tuple(secrets)
    target.mkdir(parents=True)
    masked = {}
    for name in (HISTORY, EVENTS, RUN):
        try:
            changed = (_copy_whole if name == RUN else _copy_lines)(source / name, target / name, known)
        except OSError as error:
            file = str(error.filename or source / name)
            raise EvidenceError(file, error.strerror or str(error)) from None
        if changed:
            masked[name] = sha256(source / name)
    return masked


def _own(file: Path, run: Path) -> bool:
    return not any(path.is_symlink() for path in (file, *file.parents) if run in path.parents)


def _copy_lines(source: Path, target: Path, secrets: tuple[str, ...]) -> bool:
    changed = False
    with source.open("rb") as lines, target.open("xb") as out:
        for raw in lines:
            clean = _line(raw, secrets)
            changed |= clean != raw
            out.write(clean)
    return changed


def _line(raw: bytes, secrets: tuple[str, ...]) -> bytes:
    """One line without secrets; as it was, to the byte, if it holds none."""
    try:
        item = json.loads(raw)
    except ValueError:  # blank, torn by a crash, or damage, of which the reader tells
        text = raw.decode("utf-8", "surrogateescape")
        return redact(text, secrets).encode("utf-8", "surrogateescape")
    clean = redact_deep(item, secrets)
    if clean == item:
        return raw
    return json.dumps(clean, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _copy_whole(source: Path, target: Path, secrets: tuple[str, ...]) -> bool:
    raw = source.read_bytes()
    try:
        item = json.loads(raw)
    except ValueError as error:
        raise EvidenceError(str(source), f"not JSON: {error}") from None
    clean = redact_deep(item, secrets)
    same = clean == item
    target.write_bytes(raw if same else f"{json.dumps(clean, indent=2)}\n".encode())
    return not same
