"""What a run's trials show, as one JSON-ready object: every figure from the histories."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from blackstart.evidence.criteria import criteria
from blackstart.evidence.limits import limits
from blackstart.evidence.raw import trials
from blackstart.evidence.trial import Facts, counted, trial
from blackstart.model.durations import seconds
from blackstart.model.errors import ConfigError, EvidenceError
from blackstart.model.verdict import Verdict, worst
from blackstart.report.folder import read_run
from blackstart.report.summary import spread
from blackstart.report.view import title
from blackstart.report.words import plural

#: Which of them a target may bound; both are durations.
TARGETS = ("rto", "rpo")
#: What words and figures come from.
_PACKAGE = Path(__file__).parents[1]
_SOURCES = frozenset({".py", ".j2", ".css"})


def parse_targets(text: str) -> dict[str, str]:
    """`rto=60s,rpo=30s` as a mapping; ConfigError for anything else, with what is wrong."""
    targets: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, bound = (each.strip() for each in part.partition("="))
        if not sign or name not in TARGETS or name in targets:
            raise ConfigError(f"not a target: {part!r} (once each: rto=60s,rpo=30s)")
        seconds(bound)
        targets[name] = bound
    if not targets:
        raise ConfigError(f"no target in {text!r} (for example rto=60s,rpo=30s)")
    return targets


@cache
def builder() -> str:
    """The version that builds, with a digest of its own files: another one may word things differently."""
    try:
        number = version("blackstart")
    except PackageNotFoundError:
        number = "unknown"
    digest = sha256()
    for path in sorted(p for p in _PACKAGE.rglob("*") if p.suffix in _SOURCES):
        digest.update(b"%s\0%s\0" % (path.relative_to(_PACKAGE).as_posix().encode(), path.read_bytes()))
    return f"{number} ({digest.hexdigest()[:12]})"


def assemble(
    runs: Path,
    targets: Mapping[str, str],
    key: str,
    masked: Mapping[str, str],
    unfinished: Iterable[str],
) -> Facts:
    """The facts of all trials below `runs`, named relative to its parent; the same files give the same facts.

    `key` is the fingerprint of the key that signs, `masked` the SHA-256 of each file's original from which a
    secret was taken out, `unfinished` the trials that left no run.json. Raises EvidenceError where a file is
    unusable, a figure in a run.json is not what its history gives, or the trials are of several runs.
    """
    found = [(folder, read_run(folder)) for folder in trials(runs)[0]]
    if not found:
        raise EvidenceError(str(runs), "no trial: nothing below it has a run.json")
    run_ids = sorted({str(run["run_id"]) for _, run in found})
    if len(run_ids) > 1:
        raise EvidenceError(
            str(runs), f"trials of several runs ({', '.join(run_ids)}): name the folder of one"
        )
    grouped: dict[str, list[tuple[Mapping[str, Any], Facts]]] = {}
    for folder, run in found:
        told = trial(folder, folder.relative_to(runs.parent).as_posix(), run, targets)
        grouped.setdefault(str(run["experiment"]["name"]), []).append((run, told))
    drills = [_drill(name, members) for name, members in sorted(grouped.items())]
    began, ended = _span(runs, [told for drill in drills for told in drill["trials"]])
    facts: Facts = {
        "evidence": 1,
        "built_by": f"blackstart {builder()}",
        "run_id": run_ids[0],
        "date": began.date().isoformat(),
        "began": began.isoformat(),
        "ended": ended.isoformat(),
        "key": key,
        "targets": dict(targets),
        "verdict": _overall(drills).value,
        "sentence": _sentence(drills),
        "drills": drills,
        "environment": _environment([run for _, run in found]),
        "masked": dict(sorted(masked.items())),
        "unfinished": sorted(unfinished),
    }
    facts["criteria"] = criteria(facts)
    facts["limits"] = limits(facts)
    # As it will be read again: what is compared later must not differ by a tuple or a key's type.
    plain: Facts = json.loads(json.dumps(facts))
    return plain


def _drill(name: str, members: list[tuple[Mapping[str, Any], Facts]]) -> Facts:
    order = {"drill": 0, "control": 1, "placebo": 2}
    members.sort(key=lambda m: (order.get(m[1]["role"], 3), m[1]["number"], m[1]["path"]))
    first = members[0][0]
    told: Facts = {"trials": [facts for _, facts in members]}
    drills, controls, placebos = (counted(told, role) for role in order)
    ran = {each["variant"] for each in controls}
    return {
        "name": name,
        "title": title(first),
        "hypothesis": str(first["experiment"]["hypothesis"]),
        "runbook": first["experiment"]["runbook"],
        "verdict": _worst(drills, "verdict"),
        "controls": [{key: each[key] for key in ("variant", "breaks", "proof", "path")} for each in controls],
        "controls_not_run": sorted(
            c["variant"] for c in first["experiment"]["controls"] if c["variant"] not in ran
        ),
        "placebo": _worst(placebos, "verdict") if placebos else None,
        "spread": spread(drills),
        **told,
    }


def _worst(members: list[Facts], key: str) -> str:
    return worst(Verdict(m[key]) for m in members).value if members else Verdict.UNKNOWN.value


def _overall(drills: list[Facts]) -> Verdict:
    """The worst of all: drills, what controls proved, placebos, targets met or not."""
    verdicts = [d["verdict"] for d in drills]
    verdicts += [control["proof"] for d in drills for control in d["controls"]]
    verdicts += [d["placebo"] for d in drills if d["placebo"]]
    verdicts += [target["verdict"] for d in drills for t in counted(d, "drill") for target in t["targets"]]
    return worst(map(Verdict, verdicts))


def _sentence(drills: list[Facts]) -> str:
    held = sum(d["verdict"] == "pass" for d in drills)
    parts = [f"{held} of {plural(len(drills), 'drill')} passed"]
    restores = sum(len(t["restores"]) for d in drills for t in counted(d, "drill"))
    parts.append(f"{plural(restores, 'restore')} from backup recorded")
    targets = [target for d in drills for t in counted(d, "drill") for target in t["targets"]]
    if targets:
        met = sum(target["verdict"] == "pass" for target in targets)
        parts.append(f"{met} of {plural(len(targets), 'target')} met")
    controls = [control for d in drills for control in d["controls"]]
    if controls:
        caught = sum(control["proof"] == "pass" for control in controls)
        parts.append(f"{caught} of {plural(len(controls), 'negative control')} caught")
    if placebos := [d for d in drills if d["placebo"]]:
        parts.append(
            f"{sum(d['placebo'] == 'pass' for d in placebos)} of {plural(len(placebos), 'placebo')} quiet"
        )
    return "; ".join(parts) + "."


def _span(runs: Path, told: list[Facts]) -> tuple[datetime, datetime]:
    """From the first start to the last end, UTC: dates come from the run, so a later build gives the same."""
    begins, ends = [], []
    for each in told:
        try:
            begin = datetime.fromisoformat(str(each["started"]))
        except ValueError:
            raise EvidenceError(
                str(runs.parent / each["path"] / "run.json"),
                "'started' is no time, and evidence must have a date",
            ) from None
        begin = begin.astimezone(UTC) if begin.tzinfo else begin.replace(tzinfo=UTC)
        begins.append(begin)
        ends.append(begin + timedelta(seconds=float(each["duration_s"] or 0)))
    return min(begins), max(ends)


def _environment(runs: list[dict[str, Any]]) -> Facts:
    """Stack, versions and host; every value that occurred, since a run's trials need not agree."""
    images = {
        f"{i['service']}: {i['image']} {i['digest']}" for run in runs for i in run["stack"]["instances"]
    }
    return {
        "stack": _values(
            [{"name": r["stack"]["name"], "instances": len(r["stack"]["instances"])} for r in runs]
        ),
        "versions": _values([r["versions"] for r in runs]),
        "database": _values([_database(r["configuration"].get("postgres")) for r in runs]),
        "host": _values([r["host"] for r in runs]),
        "images": sorted(images),
    }


def _database(told: Any) -> Mapping[str, Any]:
    """What a run.json says of Postgres: its settings, or in words why it could not be asked."""
    return told if isinstance(told, Mapping) else {"unknown": told} if told else {}


def _values(objects: list[Mapping[str, Any]]) -> dict[str, str]:
    names = dict.fromkeys(name for each in objects for name in each)
    return {
        name: " / ".join(dict.fromkeys(str(o[name]) for o in objects if o.get(name) is not None))
        for name in names
    }
