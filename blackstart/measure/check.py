"""`blackstart check`: the checkers over one history, and their verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blackstart.history.collector import no_collector
from blackstart.history.reader import read_history
from blackstart.history.records import History, Name
from blackstart.measure.checkers import CHECKERS, kinds_without_ok
from blackstart.measure.ledger import Ledger
from blackstart.model.verdict import Verdict

#: Lists that must be empty; `stale_reads` joins them where reads must be linearizable.
DEFECTS = ("lost", "duplicate", "resurrected", "unexpected", "split_brain")

#: How to show what a checker lists; the others list entries of the ledger, shown by their ids.
_SHOWN: dict[str, Callable[[History, int], Any]] = {
    "never_read": lambda history, key: history.keys[key],
    "stale_reads": lambda history, index: index,
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checkers found: `lists` as printed, `counts` by (key, id), and why it is not a pass."""

    ledger: Ledger
    lists: dict[str, list[Any]]
    counts: dict[str, int]
    linearizable: bool = False
    silent: list[str] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Whether there is a final read."""
        return bool(self.ledger.closing)

    def verdict(self, *, needs_closing: bool = True, given_up: Collection[str] = ()) -> Verdict:
        """Fail for a defect; unknown for a key never read, a silent kind, no final read if one is needed.

        Those in `given_up` are no defects here.
        """
        if any(name not in given_up for name in self.defects()):
            return Verdict.FAIL
        if self.lists["never_read"] or self.silent or (needs_closing and not self.closed):
            return Verdict.UNKNOWN
        return Verdict.PASS

    def defects(self) -> list[str]:
        """The names of the lists that must be empty and are not."""
        names = (*DEFECTS, "stale_reads") if self.linearizable else DEFECTS
        return [name for name in names if self.lists[name]]

    def to_dict(self) -> dict[str, Any]:
        """As `blackstart check` prints it."""
        return {"verdict": self.verdict().value, **self.lists}


def _id(history: History, entry: int) -> Name:
    return history.entry_id[entry]


def check_history(history: History, *, linearizable: bool = False) -> Checked:
    """Run every checker."""
    with no_collector():
        ledger = Ledger(history)
        lists: dict[str, list[Any]] = {}
        counts: dict[str, int] = {}
        for name, checker in CHECKERS.items():
            found = dict.fromkeys(checker(ledger))
            shown = _SHOWN.get(name, _id)
            counts[name] = len(found)
            lists[name] = list(dict.fromkeys(shown(history, item) for item in found))
    return Checked(ledger, lists, counts, linearizable, kinds_without_ok(ledger))


def check(history_path: str | Path, linearizable: bool = False) -> dict[str, Any]:
    """Check a history file; the object of DESIGN section 6. Raises EvidenceError if it is unusable."""
    return check_history(read_history(history_path), linearizable=linearizable).to_dict()
