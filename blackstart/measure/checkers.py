"""Checkers: each takes the ledger and gives what it found, in the order of first invoke.

`CHECKERS` maps the names of `blackstart check` to them. Writes are numbered in that order already; an id that
was never attempted comes after those that were. Definitions: DESIGN section 6.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from blackstart.history.records import FAIL, INFO, NEVER, OK, Name
from blackstart.measure.ledger import Ledger

#: What a checker found: entries of the ledger, keys, or the indexes of lines, as its docstring says.
Found = Iterator[int]


def lost(ledger: Ledger) -> Found:
    """Entries acknowledged before the closing read, which does not hold them."""
    return (ledger.writes.entry[write] for write in lost_writes(ledger))


def lost_writes(ledger: Ledger) -> Iterator[int]:
    """The numbers of the lost writes."""
    held = ledger.held
    columns = zip(ledger.state, ledger.covered, ledger.writes.entry, strict=True)
    return (
        write
        for write, (state, covered, entry) in enumerate(columns)
        if state == OK and covered and not held[entry]
    )


def duplicate(ledger: Ledger) -> Found:
    """Entries held more than once, whoever wrote them."""
    held = ledger.held
    yield from (entry for entry in ledger.writes.entry if held[entry] > 1)
    yield from (entry for entry in unexpected(ledger) if held[entry] > 1)


def resurrected(ledger: Ledger) -> Found:
    """Entries that failed for certain, yet are held."""
    return _held(ledger, FAIL)


def recovered(ledger: Ledger) -> Found:
    """Entries that nobody knew of, and that are held: no defect, but good to know."""
    return _held(ledger, INFO)


def unexpected(ledger: Ledger) -> Found:
    """Entries held under a key under which they were never attempted."""
    number = ledger.writes.number
    for read in ledger.closing.values():
        yield from (entry for entry in dict.fromkeys(read.entries) if number[entry] == NEVER)


def never_read(ledger: Ledger) -> Found:
    """Keys with a write that no final read covers."""
    keys = ledger.history.entry_key
    columns = zip(ledger.writes.entry, ledger.covered, strict=True)
    return (keys[entry] for entry, covered in columns if not covered)


def stale_reads(ledger: Ledger) -> Found:
    """Indexes of reads before the closing ones that lack an id acknowledged before their invoke."""
    history, writes = ledger.history, ledger.writes
    reads = sorted((r for r in history.reads if not history.final[r.op]), key=lambda r: r.op)
    acked: dict[int, list[tuple[int, int]]] = {read.key: [] for read in reads}
    for entry, ack_line in zip(writes.entry, writes.ack_line, strict=True):
        if ack_line != NEVER and (pairs := acked.get(history.entry_key[entry])) is not None:
            pairs.append((ack_line, entry))
    acks = {key: tuple(zip(*sorted(pairs), strict=True)) for key, pairs in acked.items() if pairs}
    for read in reads:
        if read.key not in acks:
            continue
        lines, entries = acks[read.key]
        due = bisect_left(lines, history.invoked_line[read.op])
        # Stops at the first that is missing: linear in what was read, however much was written.
        if due and not all(map(set(read.entries).__contains__, islice(entries, due))):
            yield read.ok_index


def split_brain(ledger: Ledger) -> Found:
    """Entries acknowledged by a node whose term was over, or by a second node in one term of one system."""
    history, writes = ledger.history, ledger.writes
    newest: dict[Name | None, tuple[list[int], list[int]]] = {}
    owner: dict[tuple[Name | None, int], Name | None] = {}
    split: set[int] = set()
    done = history.completed_line
    columns = zip(history.write_op, history.write_node, strict=True)
    named = [(done[op], attempt) for attempt, (op, node) in enumerate(columns) if node != NEVER]
    nodes, write_node, write_op, invoked = (
        history.nodes,
        history.write_node,
        history.write_op,
        history.invoked_line,
    )
    for line, attempt in sorted(named):
        id_, term, system = nodes[write_node[attempt]]
        lines, terms = newest.setdefault(system, ([], []))
        before = bisect_left(lines, invoked[write_op[attempt]])
        if before and term < terms[before - 1]:
            split.add(attempt)
        if owner.setdefault((system, term), id_) != id_:
            split.add(attempt)
        if not terms or term > terms[-1]:
            lines.append(line)
            terms.append(term)
    numbers = sorted({writes.number[history.write_entry[attempt]] for attempt in split})
    return (writes.entry[number] for number in numbers)


def _held(ledger: Ledger, state: int) -> Found:
    held = ledger.held
    columns: Iterable[tuple[int, int]] = zip(ledger.state, ledger.writes.entry, strict=True)
    return (entry for found, entry in columns if found == state and held[entry])


CHECKERS: dict[str, Callable[[Ledger], Found]] = {
    "lost": lost,
    "duplicate": duplicate,
    "resurrected": resurrected,
    "recovered": recovered,
    "unexpected": unexpected,
    "never_read": never_read,
    "stale_reads": stale_reads,
    "split_brain": split_brain,
}


def kinds_without_ok(ledger: Ledger) -> list[str]:
    """Kinds of operation of which not one was ok."""
    history = ledger.history
    served = {kind for kind, status in zip(history.kind, history.status, strict=True) if status == OK}
    return [name for kind, name in enumerate(history.kinds) if kind not in served]
