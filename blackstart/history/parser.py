"""The rules of the history format, line by line: what may follow what."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, NoReturn

from blackstart.history.lines import Malformed, shown, text, whole
from blackstart.history.records import FAIL, INFO, NEVER, OK, History, Name, Node, Read

_OUTCOMES = {"ok": OK, "fail": FAIL, "info": INFO}
_NAMES = {str, int}
_OPTIONAL = {str, int, type(None)}
_WORD = 1 << 63
_BLOCK = 1 << 16
_ABSENT: Any = object()


def check_header(item: dict[str, Any]) -> None:
    """Raise Malformed if the first line is no header of version 1."""
    if "blackstart" not in item:
        raise Malformed("the header is missing: the first line must have 'blackstart': 1")
    version = item["blackstart"]
    if type(version) is not int or version != 1:
        raise Malformed(f"'blackstart' must be 1, not {shown(version)}")


class _Entries(dict[Name, int]):
    """The entries under one key, by id; a new id gets the next number of the history."""

    __slots__ = ("_ids", "_keys", "key")

    def __init__(self, history: History, key: int) -> None:
        super().__init__()
        self._ids, self._keys, self.key = history.entry_id, history.entry_key, key

    def __missing__(self, id_: Name) -> int:
        number = self[id_] = len(self._ids)
        self._ids.append(id_)
        self._keys.append(self.key)
        return number


def _new_key(history: History, entries: dict[Name, _Entries], key: Name) -> _Entries:
    new = entries[key] = _Entries(history, len(history.keys))
    history.keys.append(key)
    return new


def history_parser() -> tuple[Callable[[dict[str, Any], int], None], Callable[[], History]]:
    """A function that takes the lines after the header one by one, and one that gives the history in the end.

    The first raises Malformed. It checks every rule before it changes anything, so that a refused line may be
    offered again. It is one long function because a million lines must take seconds: names of an enclosing
    function are quick to reach, attributes and calls are not.
    """
    history = History()
    kinds: dict[str, int] = {}
    entries: dict[Name, _Entries] = {}  # by key
    nodes: dict[tuple[Name | None, int, Name | None], int] = {}
    open_: dict[int, tuple[int, str, Any, Any, int]] = {}  # by process: op, f, key, id, write
    last = count = 0
    # Indexes count up, as every writer makes them; those that do not are rare, and kept in a set.
    first_index = 0
    next_index: int | None = None
    odd_indexes: set[int] = set()
    status, final, completed = history.status, history.final, history.completed
    completed_line = history.completed_line
    add_kind, add_intended = history.kind.append, history.intended.append
    add_invoked, add_line = history.invoked.append, history.invoked_line.append
    add_op, add_entry = history.write_op.append, history.write_entry.append
    write_node, add_node, add_read = history.write_node, history.write_node.append, history.reads.append

    def take(item: dict[str, Any], line: int) -> None:
        nonlocal last, count, first_index, next_index
        try:
            index, time, process = item["index"], item["time"], item["process"]
            type_, f = item["type"], item["f"]
        except KeyError as missing:
            raise Malformed(f"{missing} is missing") from None
        if not (type(index) is type(time) is type(process) is int and type(f) is str):
            _mistyped(item)
        if not last <= time < _WORD:
            _mistimed(time, last)
        if (
            (index != next_index or odd_indexes)
            and next_index is not None
            and (index in odd_indexes or first_index <= index < next_index)
        ):
            raise Malformed(f"index {index} is repeated")
        value: Any = item.get("value")
        if type(value) is dict:
            key, id_ = value.get("key", _ABSENT), value.get("id", _ABSENT)
        else:
            key = id_ = _ABSENT

        if type_ == "invoke":
            if process in open_:
                raise Malformed(f"process {process} invokes while its last operation is open")
            closing = item.get("final") is True
            intended = item.get("intended")
            if type(intended) is not int or not 0 <= intended < _WORD:
                if not closing:
                    _unintended(intended)
                intended = time
            write = NEVER
            if id_ is not _ABSENT and key is not _ABSENT:
                if type(key) not in _NAMES or type(id_) not in _NAMES:
                    raise Malformed(f"key and id must be strings or integers, not {shown(key)}, {shown(id_)}")
                write = len(write_node)
            if count == len(status):  # one block more of operations that never completed
                status.extend(bytes([INFO]) * _BLOCK)
                final.extend(bytes(_BLOCK))
                completed.extend([NEVER] * _BLOCK)
                completed_line.extend([NEVER] * _BLOCK)
            if closing:
                final[count] = True
            add_kind(kinds.setdefault(f, len(kinds)))
            add_intended(intended)
            add_invoked(time)
            add_line(line)
            if write != NEVER:
                add_op(count)
                add_node(NEVER)
                known = entries.get(key)
                add_entry((_new_key(history, entries, key) if known is None else known)[id_])
            open_[process] = (count, f, key, id_, write)
            count += 1
        else:
            outcome = _OUTCOMES.get(type_) if type(type_) is str else None
            if outcome is None:
                raise Malformed(f"'type' must be invoke, ok, fail or info, not {shown(type_)}")
            opened = open_.get(process)
            if opened is None:
                raise Malformed(f"process {process} completes an operation that it has not invoked")
            op, invoked_f, invoked_key, invoked_id, write = opened
            if f != invoked_f:
                raise Malformed(f"process {process} invoked {invoked_f!r} but completes {f!r}")
            if key != invoked_key or type(key) is not type(invoked_key):
                _same("key", invoked_key, key)
            if id_ != invoked_id or type(id_) is not type(invoked_id):
                _same("id", invoked_id, id_)
            ids = None
            if outcome == OK:
                if "degraded" in item and type(item["degraded"]) is list:
                    history.degraded[op] = tuple(map(str, item["degraded"]))
                if key is not _ABSENT and "ids" in value:
                    ids = _ids(key, value["ids"])
                if write != NEVER and "node" in item and (node := _node(item["node"])) is not None:
                    write_node[write] = nodes.setdefault(node, len(nodes))
            if ids is not None:
                held = entries.get(key)
                held = _new_key(history, entries, key) if held is None else held
                add_read(Read(op, index, held.key, array("q", map(held.__getitem__, ids))))
            del open_[process]
            status[op] = outcome
            completed[op] = time
            completed_line[op] = line
            if "final" in item and item["final"] is True:
                final[op] = True
        last = time
        if index == next_index:
            next_index = index + 1
        elif next_index is None:
            first_index, next_index = index, index + 1
        else:
            odd_indexes.add(index)

    def finish() -> History:
        for column in (status, final, completed, completed_line):
            del column[count:]
        history.end = last
        history.kinds, history.nodes = list(kinds), [Node(*node) for node in nodes]
        return history

    return take, finish


def _mistyped(item: dict[str, Any]) -> NoReturn:
    for name in ("index", "time", "process"):
        whole(item, name)
    text(item, "f")
    raise AssertionError("unreachable")


def _mistimed(time: int, last: int) -> NoReturn:
    if time < 0:
        raise Malformed(f"negative time {time}")
    if time >= _WORD:
        raise Malformed(f"time {time} is beyond 64 bits")
    raise Malformed(f"time goes back from {last} to {time}")


def _unintended(intended: object) -> NoReturn:
    if type(intended) is not int:
        raise Malformed("an invoke needs an integer 'intended' unless it is a closing read")
    raise Malformed(
        f"negative time: 'intended' is {intended}" if intended < 0 else "'intended' is beyond 64 bits"
    )


def _same(what: str, invoked: Any, completed: Any) -> None:
    """Raise Malformed if both lines name a key (or id) and not the same one; 1 is not "1", nor true."""
    if invoked is _ABSENT or completed is _ABSENT:
        return
    if type(invoked) is not type(completed) or invoked != completed:
        raise Malformed(f"invoked with {what} {shown(invoked)} but completed with {what} {shown(completed)}")


def _ids(key: object, ids: object) -> list[Name]:
    if type(key) not in _NAMES:
        raise Malformed(f"a key must be a string or an integer, not {shown(key)}")
    if type(ids) is not list:
        raise Malformed(f"'ids' must be a list, not {shown(ids)}")
    if not _NAMES.issuperset(map(type, ids)):
        raise Malformed("ids must be strings or integers")
    return ids


def _node(node: object) -> tuple[Name | None, int, Name | None] | None:
    """Id, term and system of who acknowledged; None without a term. Malformed for another type of any."""
    if type(node) is not dict:
        return None
    id_, term, system = node.get("id"), node.get("term"), node.get("system")
    if term is None:
        return None
    if type(term) is not int:
        raise Malformed(f"a node's term must be an integer, not {shown(term)}")
    if type(id_) not in _OPTIONAL or type(system) not in _OPTIONAL:
        raise Malformed(f"a node's id and system must be strings or integers: {shown(node)}")
    return id_, term, system
