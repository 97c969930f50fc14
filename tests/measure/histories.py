"""Builds histories and events for tests: operations in seconds in, JSON lines out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADER: dict[str, Any] = {
    "blackstart": 1,
    "clock": "monotonic_ns",
    "start_ns": 7,
    "wall": "2026-01-01T00:00:00Z",
}
KILL: dict[str, Any] = {"kind": "kill", "target": "postgres.primary", "process": "postgres"}


def ns(seconds: float) -> int:
    """Seconds in ns."""
    return round(seconds * 1e9)


@dataclass
class Script:
    """Operations to be written as a history; each has a process of its own unless told otherwise."""

    pairs: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    ops: int = 0

    def op(
        self,
        f: str,
        due: float,
        type_: str | None = "ok",
        *,
        lag: float = 0.0,
        took: float = 0.01,
        value: Any = None,
        answer: Any = None,
        final: bool = False,
        process: int | None = None,
        **fields: Any,
    ) -> Script:
        """Add one; `type_` None never completes, `answer` is the completion's value, `fields` go on it."""
        self.ops += 1
        head: dict[str, Any] = {"process": self.ops if process is None else process, "f": f}
        if final:
            head["final"] = True
        invoke: dict[str, Any] = {"type": "invoke", **head}
        if not final:
            invoke["intended"] = ns(due)
        if value is not None:
            invoke["value"] = value
        self.pairs.append((ns(due + lag), len(self.pairs), invoke))
        if type_ is not None:
            done: dict[str, Any] = {"type": type_, **head, **fields}
            if answer is not None:
                done["value"] = answer
            self.pairs.append((ns(due + lag + took), len(self.pairs), done))
        return self

    def steady(self, f: str, begin: float, end: float, every: float = 0.1) -> Script:
        """Oks at an even rate from `begin` up to but not including `end`."""
        for n in range(round((end - begin) / every)):
            self.op(f, begin + n * every)
        return self

    def write(self, key: Any, id_: Any, due: float, type_: str | None = "ok", **more: Any) -> Script:
        """A ledger write."""
        value = {"key": key, "id": id_}
        answer = value if type_ == "ok" else None
        return self.op("write", due, type_, **({"value": value, "answer": answer} | more))

    def read(self, key: Any, ids: Iterable[Any], due: float, **more: Any) -> Script:
        """An ok read that sees `ids`."""
        answer = {"key": key, "ids": list(ids)}
        return self.op("read", due, **({"value": {"key": key}, "answer": answer} | more))

    def close(self, key: Any, ids: Iterable[Any], due: float, **more: Any) -> Script:
        """An ok closing read."""
        return self.read(key, ids, due, final=True, **more)

    def lines(self) -> list[dict[str, Any]]:
        """The lines after the header, in order of time."""
        return [{"index": n, "time": t, **line} for n, (t, _, line) in enumerate(sorted(self.pairs, key=_at))]

    def save(self, folder: Path, events: Iterable[dict[str, Any]] = ()) -> Path:
        """Write both files; returns the folder."""
        save_lines(folder / "history.jsonl", [HEADER, *self.lines()])
        save_lines(folder / "events.jsonl", events)
        return folder


def _at(pair: tuple[int, int, dict[str, Any]]) -> tuple[int, int]:
    return pair[0], pair[1]


def save_lines(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def begin(at: float, fault: dict[str, Any] = KILL) -> dict[str, Any]:
    """A fault's begin."""
    return {"time": ns(at), "source": "fault", "event": "begin", "fault": fault}


def end(at: float, fault: dict[str, Any] = KILL) -> dict[str, Any]:
    """A fault's end."""
    return {"time": ns(at), "source": "fault", "event": "end", "fault": fault}


def objectives(**bounds: Any) -> dict[str, Any]:
    """The objectives event, at time 0."""
    return {"time": 0, "source": "drill", "event": "objectives", "objectives": bounds}


def gate(at: float = 0.0) -> dict[str, Any]:
    """A tripped gate."""
    return {"time": ns(at), "source": "gate", "event": "trip", "gate": "load-lag"}
