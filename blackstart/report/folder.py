"""Reading a run's folder: run.json, history, events and log excerpts, with secrets taken out on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from blackstart.history.reader import read_events, read_history
from blackstart.history.records import FAIL, NEVER, OK, History
from blackstart.history.spans import SPANS, Line, by_trace, read_spans, span_of
from blackstart.measure.judge import Finding
from blackstart.measure.run import Evaluation, evaluate
from blackstart.measure.trial import control_verdict
from blackstart.model.errors import EvidenceError
from blackstart.model.verdict import Verdict
from blackstart.report.redact import redact, redact_deep
from blackstart.report.samples import Sample, Samples, aggregate
from blackstart.report.traces import Traced

_ALARMS, _LAST, _LINE, _LOG_ROOM, _LOG_READ = 40, 20, 400, 150_000, 1_000_000
_ALARM = re.compile(r"\b(?:warn|warning|error|err|fatal|panic|crit|critical|exception|traceback|oom)", re.I)


@dataclass(frozen=True)
class RunFolder:
    """A run as read: `run` is run.json with every key filled in, `faults` begin and end of each, seconds."""

    path: Path
    run: dict[str, Any]
    faults: list[tuple[float, float]]
    samples: Samples
    events: list[dict[str, Any]]
    logs: dict[str, str]
    traced: list[Traced] = field(default_factory=list)


def read_run(folder: Path, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """run.json with missing keys filled in, but for what is computed from the evidence.

    Raises EvidenceError when a file is missing or malformed.
    """
    path = folder / "run.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EvidenceError(str(path), "no such file; not the folder of a run") from None
    except (ValueError, OSError) as error:
        raise EvidenceError(str(path), str(error)) from None
    if not isinstance(data, dict):
        raise EvidenceError(str(path), "not a JSON object")
    run: dict[str, Any] = {**_defaults(folder), **redact_deep(data, secrets)}
    experiment = {"name": folder.name, "hypothesis": "", "runbook": None}
    run["experiment"] = _filled(run["experiment"], {**experiment, "objectives": {}, "controls": []})
    run["control"] = _filled(run["control"], {"variant": "", "breaks": "", "at": ""})
    run["stack"] = _filled(run["stack"], {"name": None, "run_id": None, "edges": None, "instances": []})
    columns = ("name", "service", "zone", "image", "digest")
    run["stack"]["instances"] = [_filled(i, dict.fromkeys(columns, "–")) for i in run["stack"]["instances"]]
    run["versions"] = _filled(run["versions"], {"blackstart": None})
    return run


def read_judged(folder: Path, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """`read_run`, with measure, findings and verdict computed from the evidence where run.json lacks them."""
    return _judged(folder, tuple(secrets))[0]


def read_folder(folder: Path, secrets: Iterable[str] = ()) -> RunFolder:
    """Read all that the report shows; EvidenceError when the evidence is unusable."""
    secrets = tuple(secrets)
    run, found = _judged(folder, secrets)
    path = folder / "history.jsonl"
    history = found.figures.load.history if found else read_history(path)
    events = found.figures.events if found else read_events(folder / "events.jsonl")
    errors = _named(path, "error")
    samples = aggregate(_samples(history, errors, secrets))
    lines = [_plain(redact_deep(line, secrets), run) for line in events.lines]
    faults = sorted((f.begin / 1e9, samples.end if f.end is None else f.end / 1e9) for f in events.faults)
    logs = _logs(folder / "logs", run, secrets)
    told = redact_deep(read_spans(folder / SPANS), secrets)
    traces = by_trace(told)
    traced = list(_traced(history, _named(path, "trace_id"), traces, errors, secrets)) if traces else []
    return RunFolder(folder, _plain(run, run), faults, samples, lines, logs, traced)


def _plain(data: Any, run: Mapping[str, Any]) -> Any:
    """`data` with instances called as the stack calls them, where the platform's names are longer."""
    prefix = f"bs-{run['stack']['run_id']}-"
    if isinstance(data, str):
        return data.replace(prefix, "")
    if isinstance(data, dict):
        return {key: _plain(value, run) for key, value in data.items()}
    return [_plain(each, run) for each in data] if isinstance(data, list) else data


def _judged(folder: Path, secrets: Sequence[str]) -> tuple[dict[str, Any], Evaluation | None]:
    """run.json complete, and the evaluation if one was needed for that."""
    run, found = read_run(folder, secrets), None
    if "measure" not in run or "findings" not in run:
        found = evaluate(folder)
        run.setdefault("measure", found.to_dict())
        told = [
            {"objective": f.objective, "bound": f.bound, "measured": f.measured, "verdict": f.verdict.value}
            for f in found.findings
        ]
        run.setdefault("findings", redact_deep(told, secrets))
    run.setdefault("verdict", run["measure"].get("verdict", "unknown"))
    if run["role"] == "control":
        run["proof"] = control_verdict(findings(run), run["control"]["breaks"]).value
    else:
        run["proof"] = run["verdict"]
    return run, found


def findings(run: Mapping[str, Any]) -> list[Finding]:
    """The findings that run.json's data hold."""
    return [
        Finding(f["objective"], f.get("bound"), f["measured"], Verdict(f["verdict"]))
        for f in run.get("findings") or ()
    ]


def _samples(history: History, errors: Mapping[int, str], secrets: Sequence[str]) -> Iterator[Sample]:
    """The operations of the load, without closing reads."""
    entries = dict(zip(history.write_op, history.write_entry, strict=True))
    acked_by = dict(zip(history.write_op, history.write_node, strict=True))
    nodes = [(redact(str(n.id), secrets), n.term) for n in history.nodes]
    clean: dict[str, str] = {}

    def known(text: str) -> str:
        return clean.get(text) or clean.setdefault(text, redact(text, secrets)[:200])

    for op in range(len(history)):
        if history.final[op]:
            continue
        status, completed = history.status[op], history.completed[op]
        error, degraded = errors.get(history.completed_line[op]), history.degraded.get(op)
        if error is not None:
            error = known(error)
        node = acked_by.get(op, NEVER)
        yield Sample(
            history.kinds[history.kind[op]],
            history.intended[op] / 1e9,
            history.invoked[op] / 1e9,
            None if completed == NEVER else completed / 1e9,
            "ok" if status == OK else "fail" if status == FAIL else "info",
            error,
            entries.get(op),
            nodes[node] if node != NEVER else None,
            None if degraded is None else tuple(map(known, degraded)),
        )


def _traced(
    history: History,
    ids: Mapping[int, str],
    traces: Mapping[str, Sequence[Line]],
    errors: Mapping[int, str],
    secrets: Sequence[str],
) -> Iterator[Traced]:
    """The operations of the load, without closing reads, that left spans; `ids` of traces by line number."""
    for op in range(len(history)):
        line = history.completed_line[op]
        spans = traces.get(ids.get(line, ""))
        if not spans or history.final[op]:
            continue
        error = None
        if history.status[op] != OK:
            error = redact(errors.get(line, "failed"), secrets)[:200]
        due, done = history.intended[op] / 1e9, history.completed[op] / 1e9
        yield Traced(history.kinds[history.kind[op]], due, done, error, spans)


def _named(path: Path, name: str) -> dict[int, str]:
    """A field that the reader leaves out, since no figure needs it, by line number."""
    found: dict[int, str] = {}
    sought = f'"{name}"'.encode()
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            if sought not in raw:
                continue
            try:
                value = orjson.loads(raw).get(name)
            except orjson.JSONDecodeError:
                continue  # the reader has judged the line already
            if value is not None:
                found[number] = str(value)
    return found


def _filled(data: Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {**defaults, **(data or {})}


def _defaults(folder: Path) -> dict[str, Any]:
    return {
        "run_id": folder.name,
        "experiment": None,
        "runbook_path": None,
        "role": "drill",
        "control": None,
        "trial": 1,
        "seed": None,
        "started": None,
        "duration_s": None,
        "stack": {},
        "configuration": {},
        "versions": {},
        "host": {},
        "faults": [],
        "gates": [],
        "timings": {},
        "command": "",
        "schedule": [],
        "load": {},
        "related": {},
        "superseded": False,
        "notes": [],
    }


def _logs(folder: Path, run: Mapping[str, Any], secrets: Sequence[str]) -> dict[str, str]:
    """An excerpt of each log, those of the fault's targets first, within a budget of characters."""
    if not folder.is_dir():
        return {}
    targets = {str(_plain(t, run)) for f in run["faults"] for t in f.get("targets", ())}
    files = sorted(
        (p for p in folder.iterdir() if p.is_file()), key=lambda p: (p.stem not in targets, p.name)
    )
    room, logs = _LOG_ROOM, {}
    for file in files:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _LOG_READ))
            text = stream.read().decode("utf-8", "replace")
        # Spans have a place of their own; each names an error, if only none, and would pass for an alarm.
        lines = [line for line in text.splitlines() if span_of(line) is None]
        # Redacted before it is cut, so that half a secret cannot pass.
        clean = redact("\n".join(_excerpt(lines)), secrets).splitlines()
        shown = "\n".join(x if len(x) <= _LINE else f"{x[:_LINE]} …" for x in clean)
        room -= len(shown)
        if room < 0:
            break
        logs[file.name] = shown
    return logs


def _excerpt(lines: Sequence[str]) -> Iterator[str]:
    """The first lines that speak of trouble and the last lines of all; what is left out is counted."""
    alarms = [n for n, line in enumerate(lines) if _ALARM.search(line)][:_ALARMS]
    before = -1
    for n in sorted({*alarms, *range(max(0, len(lines) - _LAST), len(lines))}):
        if n > before + 1:
            yield f"⋮ {n - before - 1} lines"
        yield lines[n]
        before = n
