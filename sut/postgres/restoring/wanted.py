"""To what a cluster is to be restored: the options that every restoring program takes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass

#: By type, what its target is; empty for types without one.
TYPES = {
    "default": "",
    "immediate": "",
    "time": "a time with its zone, as '2026-01-31 12:00:00.5+00'",
    "lsn": "an LSN, as 0/3000148: what begins there is left out",
    "name": "the name of a restore point",
}
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d([.,]\d{1,6})?[+-]\d\d(:?\d\d)?")
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_TIMELINE = re.compile(r"latest|\d+")


@dataclass(frozen=True)
class Wanted:
    """A restore: `default` is all that the archive has, `immediate` the backup alone.

    `backup` is a label; empty takes the newest, for `time` and `lsn` the newest that ends before the target:
    for `name` pgBackRest does not know where that is. `timeline` is the one to recover along; empty takes
    the newest. ValueError says what does not go together.
    """

    type: str = "default"
    target: str = ""
    backup: str = ""
    timeline: str = ""

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"--type {self.type}: one of {', '.join(TYPES)}")
        if bool(self.target) is not bool(TYPES[self.type]):
            needed = f"--target {TYPES[self.type]}" if TYPES[self.type] else "no --target"
            raise ValueError(f"--type {self.type} takes {needed}")
        # Without a zone it would be the host's local time, silently.
        if self.type == "time" and not _TIME.fullmatch(self.target):
            raise ValueError(f"--target {self.target!r}: write {TYPES['time']}")
        if self.type == "lsn" and not _LSN.fullmatch(self.target):
            raise ValueError(f"--target {self.target!r}: write {TYPES['lsn']}")
        if self.timeline and not _TIMELINE.fullmatch(self.timeline):
            raise ValueError(f"--timeline {self.timeline!r}: latest or a number")

    @property
    def options(self) -> list[str]:
        """The options of `pgbackrest restore`."""
        words = [f"--type={self.type}"]
        if self.target:
            words.append(f"--target={self.target}")
        if self.type == "lsn":
            words.append("--target-exclusive")
        if self.type != "default":
            words.append("--target-action=promote")
        if self.backup:
            words.append(f"--set={self.backup}")
        if self.timeline:
            words.append(f"--target-timeline={self.timeline}")
        return words

    def __str__(self) -> str:
        words = [self.type, self.target, self.backup and f"from {self.backup}"]
        words.append(self.timeline and f"along timeline {self.timeline}")
        return " ".join(word for word in words if word)


def parse(program: str, words: Sequence[str], steps: Sequence[str] = ()) -> tuple[Wanted, str]:
    """What the words of a command line want, and which of `steps` alone; exits with 2 as argparse does."""
    parser = argparse.ArgumentParser(program, allow_abbrev=False)
    parser.add_argument("--type", choices=list(TYPES), default="default")
    parser.add_argument("--target", default="", help="; ".join(f"{t}: {d}" for t, d in TYPES.items() if d))
    parser.add_argument("--set", dest="backup", default="", metavar="LABEL", help="the backup to begin with")
    parser.add_argument("--timeline", default="", help="along which to recover: latest or a number")
    if steps:
        parser.add_argument("--only", choices=list(steps), default="", help="only this step of it")
    told = vars(parser.parse_args(words))
    only = str(told.pop("only", ""))
    try:
        return Wanted(**told), only
    except ValueError as error:
        parser.error(str(error))
