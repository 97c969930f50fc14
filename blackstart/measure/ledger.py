"""The ledger: what was written, what became of it, and what the stack holds in the end."""

from __future__ import annotations

from array import array

from blackstart.history.records import FAIL, INFO, NEVER, OK, History, Read

#: A line number after every line of a file.
_NO_LINE = (1 << 63) - 1


def _column() -> array[int]:
    return array("q")


class Writes:
    """Ledger writes, numbered in the order of their first invoke; all attempts of one id on one key are one.

    Columns by write: its `entry`, `first_line` of its invoke, `ack_line` of its first acknowledgement (NEVER
    if none), `ack_op` its first attempt that was acknowledged, `fail_line` of the last attempt's failure
    (_NO_LINE if one did not fail for certain). `number` gives the write of an entry (NEVER if none).
    """

    def __init__(self, history: History) -> None:
        self.number = array("q", [NEVER]) * len(history.entry_id)
        self.entry, self.first_line = _column(), _column()
        self.ack_line, self.ack_op, self.fail_line = _column(), _column(), _column()
        number, ack_line, ack_op, fail_line = self.number, self.ack_line, self.ack_op, self.fail_line
        # A million times over, so names of this function rather than attributes.
        status, invoked_line, completed_line = history.status, history.invoked_line, history.completed_line
        add_entry, add_first = self.entry.append, self.first_line.append
        for op, entry in zip(history.write_op, history.write_entry, strict=True):
            outcome, line, write = status[op], completed_line[op], number[entry]
            if write == NEVER:  # the first attempt
                number[entry] = len(ack_op)
                add_entry(entry)
                add_first(invoked_line[op])
                ack_line.append(line if outcome == OK else NEVER)
                ack_op.append(op if outcome == OK else NEVER)
                fail_line.append(line if outcome == FAIL else 0 if outcome == OK else _NO_LINE)
            elif outcome == OK:
                if ack_op[write] == NEVER:
                    ack_op[write], ack_line[write] = op, line
                elif line < ack_line[write]:
                    ack_line[write] = line
            elif outcome == FAIL:
                fail_line[write] = max(fail_line[write], line)
            else:  # it cannot have failed for certain, whatever its other attempts did
                fail_line[write] = _NO_LINE

    def __len__(self) -> int:
        return len(self.entry)


class Ledger:
    """The writes of a history against its closing reads.

    `closing` is the final read that counts of each key: the last ok one by its completion; in the order of
    their invokes. `held` is how often these hold each entry. Columns by write: `state` (OK acknowledged, FAIL
    failed for certain, INFO nobody knows) and `covered`: the closing read of its key was invoked after the
    write was acknowledged, had failed for certain, or, if indeterminate, was first invoked, in line order.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.writes = Writes(history)
        last: dict[int, Read] = {}
        for read in history.reads:  # they stand in the order of their completion
            if history.final[read.op]:
                last[read.key] = read
        self.closing = {read.key: read for read in sorted(last.values(), key=lambda r: r.op)}
        self.held = array("q", [0]) * len(history.entry_id)
        for read in self.closing.values():
            for entry in read.entries:
                self.held[entry] += 1
        self.state, self.covered = bytearray(), bytearray()
        self._settle()

    def _settle(self) -> None:
        history, writes = self.history, self.writes
        read_line = array("q", [NEVER]) * len(history.keys)
        for key, read in self.closing.items():
            read_line[key] = history.invoked_line[read.op]
        columns = zip(writes.entry, writes.first_line, writes.ack_line, writes.fail_line, strict=True)
        key_of, add_state, add_covered = history.entry_key, self.state.append, self.covered.append
        for entry, first_line, ack_line, fail_line in columns:
            if ack_line != NEVER:
                state, settled = OK, ack_line
            elif fail_line != _NO_LINE:
                state, settled = FAIL, fail_line
            else:
                state, settled = INFO, first_line
            add_state(state)
            add_covered(settled < read_line[key_of[entry]])
