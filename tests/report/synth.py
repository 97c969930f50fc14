"""A synthetic run folder, for the tests of the report and for looking at it.

45 s of load, the Postgres primary killed at 15 s, writes back 1.5 s later on the standby. Run it:
`python -m tests.report.synth FOLDER`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Line = dict[str, Any]
RUN = "20260115-092955-7c1e"
NS = 1_000_000_000


@dataclass
class Synth:
    """What to simulate, in seconds; `rates` are operations a second, `outage` counts from the fault."""

    seed: int = 7
    seconds: float = 45.0
    begin: float = 15.02
    end: float = 24.4
    outage: float = 1.48
    rates: dict[str, float] = field(
        default_factory=lambda: {"sql_write": 100.0, "chat": 10.0, "session_read": 5.0}
    )
    lose: int = 0
    fault: bool = True
    secret: str = "hunter2-correct-horse"

    def write(self, folder: Path, role: str = "drill", trial: int = 1, related: Line | None = None) -> Path:
        """Write history.jsonl, events.jsonl, run.json without measure, and logs/ into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        header = {
            "blackstart": 1,
            "clock": "monotonic_ns",
            "start_ns": 10**15,
            "wall": "2026-01-15T09:30:00Z",
        }
        _jsonl(folder / "history.jsonl", [header, *self.history()])
        _jsonl(folder / "events.jsonl", list(self.events(role)))
        (folder / "logs").mkdir(exist_ok=True)
        (folder / "logs" / "pg-1.log").write_text("\n".join(self.log("pg-1")) + "\n")
        (folder / "logs" / "app-1.log").write_text("\n".join(self.log("app-1")) + "\n")
        run = self.run(role, trial, related or {})
        (folder / "run.json").write_text(json.dumps(run, indent=1))
        return folder

    def history(self) -> list[Line]:
        """Invokes and completions in the order of time, then the closing reads."""
        rng = random.Random(self.seed)
        ops = sorted(self._operations(rng), key=lambda o: o["start"])
        marks: list[tuple[float, int, Line]] = []
        acked: dict[Any, list[Any]] = {}
        for n, op in enumerate(ops):
            common: Line = {"process": n, "f": op["f"]}
            value = op.get("value")
            begin = {"type": "invoke", **common, "intended": int(op["due"] * NS)}
            if value:
                begin["value"] = value
            done = {"type": op["type"], **common, **op["extra"]}
            if value:
                done["value"] = value
            marks += [(op["start"], 2 * n, begin), (op["stop"], 2 * n + 1, done)]
            if value and "id" in value and op["type"] == "ok":
                acked.setdefault(value["key"], []).append(value["id"])
        marks.sort(key=lambda m: (m[0], m[1]))
        lines = [{"index": i, "time": int(t * NS), **line} for i, (t, _, line) in enumerate(marks)]
        if self.lose:
            for ids in list(acked.values())[: self.lose]:
                ids.pop()
        lines += self._final(acked, lines[-1]["time"], len(lines), len(ops))
        return lines

    def _final(self, acked: dict[Any, list[Any]], time: int, index: int, process: int) -> list[Line]:
        lines = []
        for key, ids in acked.items():
            time += 2_000_000
            base = {"process": process, "f": "closing_read", "final": True}
            lines.append({"index": index, "time": time, "type": "invoke", **base, "value": {"key": key}})
            time += 3_000_000
            lines.append(
                {"index": index + 1, "time": time, "type": "ok", **base, "value": {"key": key, "ids": ids}}
            )
            index += 2
        return lines

    def _operations(self, rng: random.Random) -> Iterator[Line]:
        back = self.begin + self.outage
        for f, rate in self.rates.items():
            for n in range(int(self.seconds * rate)):
                due = 0.2 + n / rate
                start = due + rng.expovariate(1 / 0.0004)
                op: Line = {"f": f, "due": due, "start": start, "type": "ok", "extra": {}}
                if f == "sql_write":
                    op["value"] = {"key": f"probe-{n % 8}", "id": f"w{n}"}
                elif f == "chat":
                    op["value"] = {"key": f"s-{n % 20}", "id": f"chat-{n}"}
                median = {"sql_write": 0.0031, "chat": 0.055, "session_read": 0.008}.get(f, 0.01)
                took = median * rng.lognormvariate(0, 0.35)
                hit = self.fault and self.begin - took < start < back
                if hit and f == "sql_write":
                    self._fail(op, rng, start, start < self.begin)
                elif hit and f == "chat":
                    # The app holds the turn until a writable primary is back.
                    if rng.random() < 0.35:
                        op.update(type="info", stop=min(start + 4.0, back + 0.4), extra={"error": "HTTP 500"})
                    else:
                        op["stop"] = min(back + 0.15 + took, start + 5.0)
                        op["type"] = "ok" if op["stop"] < start + 5.0 else "info"
                        op["extra"] = {"degraded": ["cache-skip"], "replica": f"app-{n % 3 + 1}"}
                elif hit:
                    op.update(type="fail", stop=start + 0.02, extra={"error": "HTTP 503 <not applied>"})
                if f == "chat" and op["type"] == "ok":
                    op["extra"] = {"degraded": [], **op["extra"]}
                if "stop" not in op:
                    slow = 1 + 4 * max(0.0, 1 - (start - back) / 1.5) if self.fault and start >= back else 1
                    op["stop"] = start + took * slow
                if op["type"] == "ok" and f == "sql_write":
                    new = self.fault and op["stop"] > self.begin
                    op["extra"] = {
                        "node": {
                            "id": "pg-2" if new else "pg-1",
                            "term": 2 if new else 1,
                            "system": "postgres",
                        }
                    }
                yield op

    def _fail(self, op: Line, rng: random.Random, start: float, in_flight: bool) -> None:
        if in_flight:
            op.update(
                type="info",
                stop=self.begin + 0.002,
                extra={"error": f"connection lost: postgres://app:{self.secret}@pgproxy-1:5000/app"},
            )
        elif rng.random() < 0.9:
            op.update(type="fail", stop=start + 0.002, extra={"error": "connection refused"})
        else:
            op.update(type="info", stop=start + 0.9, extra={"error": "timeout after 900 ms"})

    def events(self, role: str) -> Iterator[Line]:
        """What the sources saw, in the order of time."""
        begin, end = self.begin, self.end
        objectives: Line = {"rto": "10s", "lost": 0, "split_brain": 0, "availability": 0.8}
        if not self.fault:
            del objectives["availability"]  # nothing is due during a fault that there is not
        fault = {"kind": "kill", "target": "postgres.primary", "process": "postgres", "max_duration": "120s"}
        out: list[tuple[float, Line]] = [
            (0.0, {"source": "drill", "event": "objectives", "objectives": objectives}),
            (0.1, _role("pg-1", "primary", 1, "running")),
            (0.1, _role("pg-2", "replica", 1, "streaming")),
            (0.3, {"source": "container", "event": "start", "instance": "load", "image": "blackstart/load"}),
        ]
        if role == "control":
            out.append((begin - 2, {"source": "variant", "event": "begin", "fault": {"kind": "edge_down"}}))
        if self.fault:
            told = {"source": "fault", "fault": fault, "targets": [f"bs-{RUN}-pg-1"]}
            said = {"source": "sentinel", "event": "+sdown", "instance": "sentinel-1", "server": "redis-1"}
            out += [
                (begin, {**told, "event": "begin", "bite": "no postgres process in pg-1 after 41 ms"}),
                (begin + 0.31, _role("pg-1", "primary", 1, "crashed")),
                (begin + 0.42, _haproxy("pg-1", "down", "L7STS 503")),
                (
                    begin + 0.61,
                    {"source": "breaker", "event": "open", "instance": "app-2", "dependency": "postgres"},
                ),
                (begin + 0.98, _role("pg-2", "primary", 2, "running")),
                (begin + 1.41, _haproxy("pg-2", "up", "L7OK 200")),
                (
                    begin + 1.9,
                    {"source": "breaker", "event": "closed", "instance": "app-2", "dependency": "postgres"},
                ),
                (begin + 2.6, _role("pg-1", "unreachable", None, "starting")),
                (begin + 2.7, {**said, "detail": f"<b>what</b> redis://:{self.secret}@redis-1"}),
                (end, {**told, "event": "end"}),
                (end + 0.7, _role("pg-1", "replica", 2, "streaming")),
            ]
            for n in range(40):
                out.append(
                    (
                        begin + 3 + n / 7,
                        {
                            "source": "container",
                            "event": "health",
                            "instance": "front-1",
                            "detail": f"<check {n}>",
                        },
                    )
                )
        for time, line in sorted(out, key=lambda e: e[0]):
            yield {"time": int(time * NS), **line}

    def log(self, name: str) -> Iterator[str]:
        """Log lines, some of them hostile."""
        yield f"2026-01-15T09:30:14.9Z {name} LOG: checkpoint complete"
        yield f"2026-01-15T09:30:15.0Z {name} ERROR <script>alert('log')</script>"
        yield f"2026-01-15T09:30:15.1Z {name} error connecting to postgres://app:{self.secret}@pgproxy-1:5000/app"
        for n in range(60):
            yield f"2026-01-15T09:30:{15 + n // 10}.{n % 10}Z {name} WARN: server closed the connection"

    def run(self, role: str, trial: int, related: Line) -> Line:
        """run.json without `measure`, `check` and `findings`: the report computes what is not there."""
        instances = [
            *(("front-1", "front", "a", "haproxy"),),
            *((f"app-{n}", "app", "abc"[n - 1], "app") for n in (1, 2, 3)),
            *((f"pg-{n}", "postgres", "ab"[n - 1], "postgres") for n in (1, 2)),
            *((f"etcd-{n}", "etcd", "abc"[n - 1], "etcd") for n in (1, 2, 3)),
        ]
        fault = {"kind": "kill", "target": "postgres.primary", "process": "postgres", "max_duration": "120s"}
        return {
            "schema": 1,
            "run_id": f"20260115-093000-{role[0]}{trial}",
            "experiment": {
                "name": "test_primary_crash",
                "hypothesis": "When the Postgres primary's process dies, writes resume on the standby and no "
                "acknowledged turn is lost.",
                "runbook": "postgres-primary-down",
                "objectives": {"rto": "10s", "lost": 0, "split_brain": 0, "availability": 0.8},
                "controls": [{"variant": "async-replication", "breaks": "lost"}],
                "expects_alert": None,
            },
            "runbook_path": "../../runbooks/postgres-primary-down.md",
            "role": role,
            "control": {"variant": "async-replication", "breaks": "lost"} if role == "control" else None,
            "trial": trial,
            "seed": self.seed,
            "started": "2026-01-15T09:30:00Z",
            "duration_s": self.seconds + 6.2,
            "stack": {
                "name": "sample",
                "run_id": RUN,
                "instances": [
                    {
                        "name": n,
                        "service": s,
                        "zone": z,
                        "image": f"blackstart/{i}:3fa94c01d2e7",
                        "digest": "sha256:9b1c",
                    }
                    for n, s, z, i in instances
                ],
                "edges": 61,
            },
            "configuration": {
                "patroni": {"ttl": 20, "loop_wait": 2, "retry_timeout": 5, "synchronous_mode": True},
                "app": {
                    "DATABASE_URL": f"postgresql://app:{self.secret}@pgproxy-1:5000/app",
                    "jwt_secret": "abc",
                },
            },
            "versions": {"blackstart": "0.1.0", "python": "3.11.9", "postgresql": "17.6", "patroni": "4.0.4"},
            "host": {"cpus": 2, "memory_mib": 7950, "kernel": "6.1.0", "docker": "20.10.24"},
            "faults": [
                {
                    "fault": fault,
                    "targets": [f"bs-{RUN}-pg-1"],
                    "begin_s": self.begin,
                    "end_s": self.end,
                    "bite": "no postgres process in pg-1 after 41 ms",
                }
            ]
            if self.fault
            else [],
            "gates": [],
            "timings": {
                "start_s": 31.2,
                "baseline_s": 3.1,
                "fault_s": 9.4,
                "recovery_s": 1.9,
                "reset_s": 6.0,
            },
            "command": "pytest -m chaos experiments/test_postgres.py::test_primary_crash --chaos-seed 7",
            "schedule": [
                {"at_s": self.begin, "action": "inject", "fault": fault},
                {"at_s": self.end, "action": "undo", "fault": fault},
            ],
            "related": related,
            "notes": ["Host clocks agree within 1 ms: every container shares the host's clock."],
        }


def _role(instance: str, role: str, timeline: int | None, state: str) -> Line:
    return {
        "source": "patroni",
        "event": "role",
        "instance": instance,
        "role": role,
        "timeline": timeline,
        "state": state,
    }


def _haproxy(server: str, state: str, check: str) -> Line:
    return {
        "source": "haproxy",
        "event": state,
        "instance": "pgproxy-1",
        "backend": "primary",
        "server": server,
        "check": check,
        "within_s": 0.2,
        "source_time": "2026-01-15T09:30:15.000Z",
        "source_error_s": 1.0,
    }


def _jsonl(path: Path, lines: list[Line]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    print(Synth().write(Path(sys.argv[1])))
