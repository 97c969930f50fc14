"""DESIGN sections 5 and 6 once more, slow and sentence by sentence: what the quick code is tried against."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

S = 1_000_000_000
Line = dict[str, Any]


@dataclass
class Op:
    """One operation of the history; line numbers count from 0."""

    f: str
    line: int
    invoke: int
    due: int
    value: Any
    final: bool
    type: str = "info"
    done: int | None = None
    done_line: int | None = None
    answer: Any = None
    node: Any = None
    index: int | None = None


def parse(lines: list[Line]) -> list[Op]:
    """Operations in the order of their invokes."""
    ops: list[Op] = []
    open_: dict[int, Op] = {}
    for n, line in enumerate(lines):
        if line["type"] == "invoke":
            op = Op(
                line["f"],
                n,
                line["time"],
                line["intended"] if "intended" in line else line["time"],
                line.get("value"),
                bool(line.get("final")),
            )
            ops.append(op)
            open_[line["process"]] = op
        else:
            op = open_.pop(line["process"])
            op.type, op.done, op.done_line = line["type"], line["time"], n
            op.answer, op.node, op.index = line.get("value"), line.get("node"), line["index"]
    return ops


@dataclass
class Cluster:
    """A cluster of non-oks, with the figures of section 5."""

    f: str
    bad: list[Op]
    first_due: tuple[int, int, int]
    begin: int
    end: int
    lo: int
    hi: int
    ok_ratio: float
    recovered: Op | None

    def stray(self) -> bool:
        return len(self.bad) == 1 and self.hi < S

    def show(self) -> dict[str, Any]:
        return {
            "f": self.f,
            "begin_s": self.begin / 1e9,
            "end_s": self.end / 1e9,
            "lo_s": self.lo / 1e9,
            "hi_s": self.hi / 1e9,
            "ok_ratio": self.ok_ratio,
        }


def order(op: Op) -> tuple[int, int, int]:
    return op.due, op.invoke, op.line


def load_end(ops: list[Op]) -> int:
    times = [t for op in ops if not op.final for t in (op.invoke, op.done) if t is not None]
    return max(times, default=0)


def clusters(ops: list[Op]) -> list[Cluster]:
    """All clusters of all kinds, strays too."""
    found = []
    stop = load_end(ops)
    for f in {op.f for op in ops if not op.final}:
        kind = sorted((op for op in ops if op.f == f and not op.final), key=order)
        groups: list[list[Op]] = []
        for op in (op for op in kind if op.type != "ok"):
            if groups:
                last = groups[-1][-1]
                between = [k for k in kind if k.type == "ok" and order(last) < order(k) < order(op)]
                if op.due - last.due <= S or not between:
                    groups[-1].append(op)
                    continue
            groups.append([op])
        for bad in groups:
            earlier = [k for k in kind if k.type == "ok" and order(k) < order(bad[0])]
            later = [k for k in kind if k.type == "ok" and order(k) > order(bad[-1])]
            inside = [k for k in kind if order(bad[0]) <= order(k) <= order(bad[-1])]
            invokes = [op.invoke for op in bad]
            before = earlier[-1].done if earlier else 0
            after = later[0].done if later else stop
            assert before is not None and after is not None
            lo = max(invokes) - min(invokes)
            found.append(
                Cluster(
                    f=f,
                    bad=bad,
                    first_due=order(bad[0]),
                    begin=min(invokes),
                    end=after,
                    lo=lo,
                    hi=max(after - before, lo),
                    ok_ratio=sum(k.type == "ok" for k in inside) / len(inside),
                    recovered=later[0] if later else None,
                )
            )
    return found


def spans(faults: list[tuple[int, int | None]], history_end: int) -> list[tuple[int, int]]:
    """Episodes: merge any two that touch until none do."""
    merged = [(b, max(b, history_end) if e is None else e) for b, e in faults]
    while True:
        pair = next(
            ((x, y) for i, x in enumerate(merged) for y in merged[i + 1 :] if x[0] <= y[1] and y[0] <= x[1]),
            None,
        )
        if pair is None:
            return sorted(merged)
        for one in pair:
            merged.remove(one)
        merged.append((min(pair[0][0], pair[1][0]), max(pair[0][1], pair[1][1])))


def rtos(ops: list[Op], outages: list[Cluster], episodes: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """The RTO of every kind in every episode with an outage felt."""
    stop = load_end(ops)
    found = []
    for n, (begin, _) in enumerate(episodes):
        following = episodes[n + 1][0] if n + 1 < len(episodes) else math.inf
        for f in sorted({o.f for o in outages}):
            counted, first = [], []
            for o in outages:
                felt = [x for x in o.bad if o.f == f and (x.done is None or x.done > begin or x.due > begin)]
                if any((x.done or math.inf) < following or x.due < following - S for x in felt):
                    counted.append(o)
                    first += [x.invoke for x in felt]
            if not counted:
                continue
            last = max(counted, key=lambda o: o.first_due)
            lo = max(0, max(x.invoke for x in last.bad) - begin)
            last_due = max(op.due for op in ops if op.f == f and not op.final)
            ok = last.recovered
            censored = ok is None or ok.done is None or last_due - ok.done < 3 * S
            until = stop if censored or ok is None or ok.done is None else ok.done
            found.append(
                {
                    "f": f,
                    "begin": begin,
                    "lo": lo,
                    "hi": max(until - begin, 0, lo),
                    "censored": censored,
                    "first_error": max(0, min(first) - begin),
                    "unavailable": sum(o.hi for o in counted),
                }
            )
    return found


def nearest_rank(values: list[int], percent: float) -> float:
    ordered = sorted(values)
    return ordered[max(1, math.ceil(round(percent * 10) * len(ordered) / 1000)) - 1] / 1e6


def figures(lines: list[Line], faults: list[tuple[int, int | None]]) -> dict[str, Any]:
    """What measure must print, but for the verdict; worst RTO as the list of equals to choose from."""
    ops = parse(lines)
    load = [op for op in ops if not op.final]
    every = clusters(ops)
    outages = [c for c in every if not c.stray()]
    episodes = spans(faults, lines[-1]["time"] if lines else 0)
    found = rtos(ops, outages, episodes)
    top = max(((r["censored"], r["hi"], r["lo"]) for r in found), default=None)
    worst = [r for r in found if (r["censored"], r["hi"], r["lo"]) == top]
    if episodes:
        first = min(b for b, _ in episodes)
        upto = max([e for _, e in episodes] + [r["begin"] + r["hi"] for r in found])
        phase = {
            "before": [op for op in load if op.due < first],
            "during": [op for op in load if first <= op.due < upto],
            "after": [op for op in load if first <= op.due and op.due >= upto],
        }
    else:
        phase = {"before": load, "during": [], "after": []}
    waits = {
        name: [op.done - op.due for op in part if op.type == "ok" and op.done is not None]
        for name, part in phase.items()
    }
    ranks = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "max": 100.0}
    return {
        "outages": [c.show() for c in outages],
        "strays": [c.show() for c in every if c.stray()],
        "availability": {name: len(waits[name]) / len(p) if p else None for name, p in phase.items()},
        "latency_ms": {
            name: {rank: nearest_rank(w, percent) if w else None for rank, percent in ranks.items()}
            for name, w in waits.items()
        },
        "rto": [
            {
                "f": r["f"],
                "lo_s": r["lo"] / 1e9,
                "hi_s": r["hi"] / 1e9,
                "censored": r["censored"],
                "first_error_s": r["first_error"] / 1e9,
                "unavailable_s": r["unavailable"] / 1e9,
            }
            for r in worst
        ]
        or [
            {
                "f": None,
                "lo_s": 0,
                "hi_s": 0,
                "censored": False,
                "first_error_s": None,
                "unavailable_s": 0,
            }
        ],
    }


def named(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and all(name in value for name in names)


def typed(value: Any) -> tuple[str, Any]:
    """1 is not "1"."""
    return type(value).__name__, value


def checks(lines: list[Line]) -> dict[str, Any]:
    """What check must print, but for the verdict; plus the counts of rpo."""
    ops = parse(lines)
    attempts: dict[Any, list[Op]] = {}
    for op in ops:
        if named(op.value, "key", "id"):
            attempts.setdefault((typed(op.value["key"]), typed(op.value["id"])), []).append(op)
    reads = [op for op in ops if op.type == "ok" and named(op.answer, "key", "ids")]
    closing: dict[Any, Op] = {}
    for op in sorted((r for r in reads if r.final), key=lambda r: r.done_line or 0):
        closing[typed(op.answer["key"])] = op
    out: dict[str, list[Any]] = {
        name: []
        for name in (
            "lost",
            "duplicate",
            "resurrected",
            "recovered",
            "unexpected",
            "never_read",
            "stale_reads",
            "split_brain",
        )
    }
    lost_ops: list[Op] = []
    indeterminate = 0
    for (key, id_), tries in attempts.items():
        acks = [t for t in tries if t.type == "ok"]
        failed = all(t.type == "fail" for t in tries)
        read = closing.get(key)
        held = [typed(i) for i in read.answer["ids"]].count(id_) if read else 0
        covered = False
        if read is not None:
            if acks:
                covered = min(t.done_line or 0 for t in acks) < read.line
            elif failed:
                covered = max(t.done_line or 0 for t in tries) < read.line
            else:
                covered = tries[0].line < read.line
        if acks and covered and not held:
            out["lost"].append(id_[1])
            lost_ops.append(acks[0])
        if held > 1:
            out["duplicate"].append(id_[1])
        if failed and held:
            out["resurrected"].append(id_[1])
        if not acks and not failed:
            indeterminate += 1
            if held:
                out["recovered"].append(id_[1])
        if not covered:
            out["never_read"].append(key[1])
    for key, read in sorted(closing.items(), key=lambda item: item[1].line):
        held_ids = [typed(i) for i in read.answer["ids"]]
        for id_ in held_ids:
            if (key, id_) not in attempts:
                out["unexpected"].append(id_[1])
                if held_ids.count(id_) > 1:
                    out["duplicate"].append(id_[1])
    for read in reads:
        seen = {typed(i) for i in read.answer["ids"]}
        for (key, id_), tries in attempts.items():
            acked = any(t.type == "ok" and (t.done_line or 0) < read.line for t in tries)
            if not read.final and key == typed(read.answer["key"]) and acked and id_ not in seen:
                out["stale_reads"].append(read.index)
    acks = [
        t
        for tries in attempts.values()
        for t in tries
        if t.type == "ok" and t.node is not None and t.node.get("term") is not None
    ]
    for (_, id_), tries in attempts.items():
        for t in tries:
            if t not in acks:
                continue
            system = [a for a in acks if a.node.get("system") == t.node.get("system")]
            older = any(a.node["term"] > t.node["term"] and (a.done_line or 0) < t.line for a in system)
            term = [a for a in system if a.node["term"] == t.node["term"]]
            owner = min(term, key=lambda a: a.done_line or 0)
            if older or owner.node.get("id") != t.node.get("id"):
                out["split_brain"].append(id_[1])
    once = {
        name: [v for n, v in enumerate(found) if typed(v) not in [typed(w) for w in found[:n]]]
        for name, found in out.items()
    }
    silent = {op.f for op in ops} - {op.f for op in ops if op.type == "ok"}
    return {
        **once,
        "lost_invokes": [op.invoke for op in lost_ops],
        "indeterminate": indeterminate,
        "silent": bool(silent),
        "closed": bool(closing),
        "writes": bool(attempts),
    }
