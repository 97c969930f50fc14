"""JSON Lines as a crash may leave them: read, numbered, with the torn last line told from damage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from blackstart.model.errors import EvidenceError

_LONG_NUMBER = re.compile(rb"\d{19}")


class Malformed(ValueError):
    """One line is not what the format asks for; the message says why. Readers add file and line."""


def json_lines(path: Path, notes: list[str]) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Yield line number (from 1), raw bytes and the object of every line that is not blank.

    A last line without newline that does not parse was torn by a crash: it is skipped and said in `notes`.
    Raises EvidenceError for any other line that is no JSON object, and for a file that cannot be read.
    """
    loads = orjson.loads
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    item = loads(raw)
                except orjson.JSONDecodeError as error:
                    if not raw.strip():
                        continue
                    if not raw.endswith(b"\n"):
                        notes.append(f"{path}: line {number}: torn by a crash, ignored")
                        return
                    raise EvidenceError(str(path), f"not JSON: {error.msg}", number) from None
                if type(item) is not dict:
                    raise EvidenceError(str(path), "not a JSON object", number)
                yield number, raw, item
    except OSError as error:
        raise EvidenceError(str(path), error.strerror or str(error)) from error


def exact(raw: bytes) -> dict[str, Any] | None:
    """The line with integers beyond 64 bits kept whole, where orjson makes floats; None if it has none."""
    if _LONG_NUMBER.search(raw) is None:
        return None
    try:
        item: dict[str, Any] = json.loads(raw)
    except ValueError:
        return None
    return item


def whole(item: dict[str, Any], name: str) -> int:
    """The integer at `name`; Malformed if it is missing or anything else (a boolean is no integer)."""
    if name not in item:
        raise Malformed(f"{name!r} is missing")
    value = item[name]
    if type(value) is not int:
        raise Malformed(f"{name!r} must be an integer, not {shown(value)}")
    return value


def text(item: dict[str, Any], name: str) -> str:
    """The string at `name`; Malformed if it is missing or anything else."""
    if name not in item:
        raise Malformed(f"{name!r} is missing")
    value = item[name]
    if type(value) is not str:
        raise Malformed(f"{name!r} must be a string, not {shown(value)}")
    return value


def shown(value: object) -> str:
    """A value as it stood in the file, cut to what an error message can bear."""
    rendered = json.dumps(value, default=str)
    return rendered if len(rendered) <= 60 else rendered[:57] + "..."
