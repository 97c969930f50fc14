"""Runbooks as data: the named shell blocks of a Markdown page, in the order of the page.

A block is fenced, and its attributes are those of Runme: ```` ```sh {name=restore phase=copy} ````. `name`
makes it a step; `phase` says to which part of a recovery its time belongs. Other attributes, blocks without
attributes, and those in other languages are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from blackstart.model.errors import ConfigError
from blackstart.model.recovery import PHASES

_SHELLS = ("sh", "bash", "shell")
_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)")
_INFO = re.compile(r"\s*(?P<language>[^\s{]*)\s*(?:\{(?P<attributes>.*)\})?\s*")
_ATTRIBUTE = re.compile(
    r"""\s*(?P<key>[\w.-]+)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"',]+))\s*,?"""
)


@dataclass(frozen=True)
class Block:
    """A step: its name, its phase of a recovery ("" for none), its shell code, and the line of its fence."""

    name: str
    phase: str
    code: str
    line: int

    @property
    def digest(self) -> str:
        """The SHA-256 of its code as UTF-8, in hex: what a page said when it was followed."""
        return sha256(self.code.encode()).hexdigest()


@dataclass(frozen=True)
class Runbook:
    """The steps of one page."""

    path: Path
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        """As experiments name it: the file's name without its ending."""
        return self.path.stem

    def steps(self, *names: str) -> tuple[Block, ...]:
        """The blocks of these names, in this order; ConfigError for one that there is not, or for none."""
        known = {block.name: block for block in self.blocks}
        there = ", ".join(known) or "none"
        if not names:
            raise ConfigError(f"{self.path}: name the steps to follow; there are: {there}")
        for name in names:
            if name not in known:
                raise ConfigError(f"{self.path}: no step {name!r}; there are: {there}")
        return tuple(known[name] for name in names)


def read_runbook(path: Path) -> Runbook:
    """The runbook at `path`; ConfigError where there is none, and as `parse`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.md"))) or "none"
        raise ConfigError(f"no runbook {path}; there are: {there}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Runbook:
    """The steps of the page `text`; `path` is for messages.

    Raises ConfigError, as `<file>: line <n>: <what is wrong>`, for a name that is there twice, an unknown
    phase, a phase without a name, attributes that cannot be read, and a block that does not end.
    """
    blocks: dict[str, Block] = {}
    for line, language, told, code in _fenced(text, path):
        if told is None or language not in _SHELLS:
            continue
        attributes = _attributes(told, path, line)
        name, phase = attributes.get("name", ""), attributes.get("phase", "")
        if not name and not phase:
            continue
        if not name:
            raise _wrong(path, line, f"a block of phase {phase!r} has no name: add name=...")
        if "phase" in attributes and phase not in PHASES:
            raise _wrong(path, line, f"step {name!r}: unknown phase {phase!r}; known: {', '.join(PHASES)}")
        if name in blocks:
            raise _wrong(
                path, line, f"step {name!r} is there twice; the first is at line {blocks[name].line}"
            )
        blocks[name] = Block(name, phase, code, line)
    return Runbook(path, tuple(blocks.values()))


def _fenced(text: str, path: Path) -> Iterator[tuple[int, str, str | None, str]]:
    """Every fenced block: line of its fence, language, attributes as written (None without), code."""
    opened: re.Match[str] | None = None
    begin, code = 0, ""
    for number, line in enumerate(text.split("\n"), start=1):
        found = _FENCE.fullmatch(line)
        if opened is None:
            # What has a backtick after its backticks is code within a line.
            if found and not (found["fence"][0] == "`" and "`" in found["info"]):
                opened, begin, code = found, number, ""
        elif found and not found["info"].strip() and found["fence"].startswith(opened["fence"]):
            yield begin, *_info(opened["info"], path, begin), code
            opened = None
        else:
            code += line.removeprefix(opened["indent"]) + "\n"
    if opened is not None:
        raise _wrong(path, begin, f"the block does not end: no line of {opened['fence']} follows")


def _info(info: str, path: Path, line: int) -> tuple[str, str | None]:
    found = _INFO.fullmatch(info)
    if found is not None:
        return found["language"].lower(), found["attributes"]
    language = info.split()[0].partition("{")[0].lower()
    if language in _SHELLS and "{" in info:
        raise _wrong(path, line, f"cannot read {info.strip()!r}; write it as: sh {{name=restore phase=copy}}")
    return language, None


def _attributes(told: str, path: Path, line: int) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while told[at:].strip():
        one = _ATTRIBUTE.match(told, at)
        if one is None:
            raise _wrong(path, line, f"cannot read {told[at:].strip()!r}; attributes are key=value")
        if one["key"] in found:
            raise _wrong(path, line, f"attribute {one['key']!r} is there twice")
        found[one["key"]] = next(v for v in one.group("double", "single", "bare") if v is not None)
        at = one.end()
    return found


def _wrong(path: Path, line: int, what: str) -> ConfigError:
    return ConfigError(f"{path}: line {line}: {what}")
