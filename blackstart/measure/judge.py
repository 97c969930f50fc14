"""Verdicts: every objective against its measurement, the checker, the gates (DESIGN section 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blackstart.history.records import NEVER, OK
from blackstart.measure.checkers import CHECKERS
from blackstart.measure.evidence import blind, outlasted, unclean
from blackstart.measure.measured import Measured
from blackstart.measure.phases import Phase, phase_of_kind
from blackstart.model.durations import human, seconds
from blackstart.model.errors import ConfigError
from blackstart.model.objectives import COUNTED, LATENCIES, by_kind, margin
from blackstart.model.verdict import Verdict, worst


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement: what was asked, the bound (None where there is none), what was measured, the verdict."""

    objective: str
    bound: Any
    measured: str
    verdict: Verdict


#: The share of answers that may name any degradation: what one slow call brings about, on any day.
STRAY = 0.02
#: Judges one objective: the bound as written, and the figures.
Judge = Callable[[Any, Measured], tuple[str, Verdict]]


def judge(found: Measured, objectives: Mapping[str, Any] | None, gates: list[str]) -> list[Finding]:
    """Judge a run; its verdict is the worst of the findings.

    With objectives: one finding each (None is no objective), then `checker` and `gates`. Without:
    `rto`, `load`, `baseline`, `checker` and `gates`. Raises ConfigError for a bound that is none.
    """
    asked = {name: bound for name, bound in (objectives or {}).items() if bound is not None}
    if not asked:
        return [
            _recovered(found),
            load_finding(found),
            baseline_finding(found),
            _checker(found),
            _gates(gates, ()),
        ]
    findings = []
    void = [name for name in asked if name in TIMING] if gates else []
    for name, bound in asked.items():
        try:
            text, verdict = OBJECTIVES.get(name, _not_shown)(bound, found)
        except ConfigError as error:
            raise ConfigError(f"objective {name!r}: {error}") from error
        if name in void:
            text, verdict = f"{text}; void: a gate tripped", Verdict.UNKNOWN
        findings.append(Finding(name, bound, text, verdict))
    if found.rto.censored and "rto" not in asked:
        verdict = Verdict.UNKNOWN if gates else Verdict.FAIL
        findings.append(Finding("rto", None, recovery_text(found), verdict))
    given_up = asked.get("gives_up", ()) if "rpo" in asked and not found.rpo.after else ()
    return [*findings, _checker(found, given_up), _gates(gates, void)]


def recovery_text(found: Measured) -> str:
    """The RTO in words, with its bounds and kind."""
    rto = found.rto
    if rto.kind is None:
        return "0 s: no outage felt" if found.events.faults else "0 s: no fault"
    kind = found.kind_name(rto.kind)
    if rto.censored:
        return f"more than {human(rto.lo / 1e9)} ({kind}): no lasting recovery before the load ended"
    return f"{human(rto.lo / 1e9)} to {human(rto.hi / 1e9)} ({kind})"


# -- objectives -----------------------------------------------------------------------------------------


def _rto(bound: Any, found: Measured) -> tuple[str, Verdict]:
    limit, rto = _ns(bound), found.rto
    if rto.censored or rto.lo > limit:
        return recovery_text(found), Verdict.FAIL
    if reasons := list(blind(found)):
        return reasons[0], Verdict.UNKNOWN
    return recovery_text(found), Verdict.PASS if rto.hi <= limit else Verdict.UNKNOWN


def _rpo(bound: Any, found: Measured) -> tuple[str, Verdict]:
    limit, rpo = _ns(bound), found.rpo
    if rpo.oldest is None:
        return f"{rpo.lost} lost, of unknown age: no fault", Verdict.UNKNOWN
    if rpo.oldest > limit:
        return f"{human(rpo.oldest / 1e9)}, the oldest of {rpo.lost} lost", Verdict.FAIL
    if not rpo.lost and (missing := _missing("lost", found)):
        return missing, Verdict.UNKNOWN
    return f"{human(rpo.oldest / 1e9)}, {rpo.lost} lost", Verdict.PASS


def _gives_up(bound: Any, found: Measured) -> tuple[str, Verdict]:
    """How old it may be, `rpo` judges; what came after it had its effect is not given up."""
    if bound != ["lost"]:
        raise ConfigError(f"only ['lost'] can be given up, not {bound!r}")
    if found.rpo.after:
        return f"{found.rpo.after} of {found.rpo.lost} lost came after the fault had its effect", Verdict.FAIL
    return f"{found.rpo.lost} lost", Verdict.PASS


def _availability(bound: Any, found: Measured) -> tuple[str, Verdict]:
    told = []
    for name, share in by_kind(bound).items():
        limit = _number(share)
        if limit > 1:
            raise ConfigError(f"availability is a share from 0 to 1, not {share!r}")
        phase = found.phases["during"] if name is None else _during(name, found)
        value = phase.availability if phase is not None else None
        of = "" if name is None else f"{name} "
        if value is None:
            told.append((f"{of}nothing was due during a fault", Verdict.UNKNOWN))
        else:
            verdict = Verdict.PASS if value >= limit else Verdict.FAIL
            told.append((f"{of}{value * 100:.2f} % during the fault", verdict))
    return _together(told)


def _interrupted(bound: Any, found: Measured) -> tuple[str, Verdict]:
    limit = _number(bound)
    if not found.episodes:
        return "nothing: no fault", Verdict.UNKNOWN
    history = found.load.history
    due, ended, status = history.intended, history.completed, history.status
    hit = {
        op
        for begin in (episode.begin for episode in found.episodes)
        for op in found.load.by_due
        if due[op] < begin and status[op] != OK and (ended[op] == NEVER or ended[op] > begin)
    }
    return str(len(hit)), Verdict.PASS if len(hit) <= limit else Verdict.FAIL


def _latency_of(quantile: str) -> Judge:
    """The named quantile of the latency of kinds of operations, by itself or over its baseline."""

    def latency(bound: Any, found: Measured) -> tuple[str, Verdict]:
        if not isinstance(bound, Mapping):
            raise ConfigError(f"{quantile} bounds the latency of kinds of operations by name, not {bound!r}")
        return _together([_slower(quantile, name, limit, found) for name, limit in bound.items()])

    return latency


def _slower(quantile: str, name: str, bound: Any, found: Measured) -> tuple[str, Verdict]:
    margin_s, relative = margin(bound)
    allowed = margin_s * 1000
    during, before = _during(name, found), _before(name, found)
    for phase, when in ((during, "during the fault"), *(((before, "before it"),) if relative else ())):
        answers = phase.answers if phase is not None else 0
        # Of few the slowest is taken, which is strict with a bound, and too lenient as a baseline.
        if answers < (ENOUGH if relative else 1):
            return f"{name}: {answers} answers {when}, too few to compare", Verdict.UNKNOWN
    value, base = _latency(during, quantile), _latency(before, quantile) if relative else 0.0
    text = f"{name} {value:.0f} ms during the fault" + (f", {base:.0f} ms before" if relative else "")
    # What comes and goes by itself must not be the measure of what the fault does.
    if relative and base > NOISY * allowed:
        return f"{text}: too slow by itself to show {allowed:.0f} ms more", Verdict.UNKNOWN
    return text, Verdict.PASS if value <= base + allowed else Verdict.FAIL


def _mode(bound: Any, found: Measured) -> tuple[str, Verdict]:
    if isinstance(bound, str) or not isinstance(bound, Sequence):
        raise ConfigError(f"mode is a list of degradations, not {bound!r}")
    named: Counter[str] = Counter()
    answers = well = 0
    if found.during is not None:
        degraded = found.load.history.degraded
        for op in found.load.between(*found.during):
            if op in degraded:
                answers += 1
                names = set(degraded[op])
                named.update(names)
                well += not names.isdisjoint(bound)
    if not answers:
        return "no answer during a fault names its degradations", Verdict.UNKNOWN
    counts = sorted(named.items())
    text = ", ".join(f"{name} in {count}" for name, count in counts) or "none"
    text = f"{text} of {answers} answers"
    foreign = [name for name, n in counts if name not in bound and n > max(1, STRAY * answers)]
    if foreign:
        return f"{text}; not allowed: {', '.join(foreign)}", Verdict.FAIL
    return text, Verdict.PASS if well > STRAY * answers else Verdict.FAIL


def _declared(bound: Any, found: Measured) -> tuple[str, Verdict]:
    history, told = found.load.history, []
    for name, share in _kinds("declared", bound).items():
        oks = [
            op
            for op in (found.load.between(*found.during) if found.during else ())
            if history.status[op] == OK and history.kinds[history.kind[op]] == name
        ]
        if not oks:
            told.append((f"{name}: no answer during a fault", Verdict.UNKNOWN))
            continue
        value = sum(bool(history.degraded.get(op)) for op in oks) / len(oks)
        verdict = Verdict.PASS if value >= _number(share) else Verdict.FAIL
        told.append((f"{name} {value * 100:.1f} % of the answers during the fault", verdict))
    return _together(told)


def _goodput(bound: Any, found: Measured) -> tuple[str, Verdict]:
    told = []
    for name, rate in _kinds("goodput", bound).items():
        phase = _during(name, found)
        if phase is None or phase.availability is None or found.during is None:
            told.append((f"{name}: nothing was due during a fault", Verdict.UNKNOWN))
            continue
        begin, end = found.during
        value = phase.answers / ((end - begin) / 1e9)
        verdict = Verdict.PASS if value >= _number(rate) else Verdict.FAIL
        told.append((f"{name} {value:.1f} a second during the fault", verdict))
    return _together(told)


def _kinds(objective: str, bound: Any) -> Mapping[str, Any]:
    if not isinstance(bound, Mapping):
        raise ConfigError(f"{objective} bounds kinds of operations by name, not {bound!r}")
    return bound


def _counted(name: str) -> Judge:
    """What the drill counted and wrote into the events; the last count stands."""

    def counted(bound: Any, found: Measured) -> tuple[str, Verdict]:
        limit = _number(bound)
        counts = [
            line.get("value")
            for line in found.events.lines
            if (line.get("source"), line.get("event"), line.get("name")) == ("drill", "count", name)
        ]
        if not counts:
            return "not counted", Verdict.UNKNOWN
        return str(counts[-1]), Verdict.PASS if _number(counts[-1]) <= limit else Verdict.FAIL

    return counted


def _during(name: str, found: Measured) -> Phase | None:
    return _phase(name, found, *found.during) if found.during else None


def _before(name: str, found: Measured) -> Phase | None:
    """Since clients were well, as the drill saw it: what a load's first seconds cost is no baseline."""
    lines = found.events.lines
    well = max((e["time"] for e in lines if (e.get("source"), e.get("event")) == BASELINE), default=0)
    return _phase(name, found, well, found.during[0]) if found.during else None


def _phase(name: str, found: Measured, begin: int, end: int) -> Phase | None:
    kinds = found.load.history.kinds
    return phase_of_kind(found.load, kinds.index(name), begin, end) if name in kinds else None


def _latency(phase: Phase | None, quantile: str) -> float:
    return (phase.latency[quantile] if phase is not None else None) or 0.0


def _together(told: Sequence[tuple[str, Verdict]]) -> tuple[str, Verdict]:
    return ", ".join(text for text, _ in told), worst(verdict for _, verdict in told)


def _count_of(name: str) -> Judge:
    def count(bound: Any, found: Measured) -> tuple[str, Verdict]:
        limit, value = _number(bound), found.checked.counts[name]
        if value > limit:
            return str(value), Verdict.FAIL
        if not value and (missing := _missing(name, found)):
            return missing, Verdict.UNKNOWN
        return str(value), Verdict.PASS

    return count


def _not_shown(bound: Any, found: Measured) -> tuple[str, Verdict]:
    return "the run's files cannot show it", Verdict.UNKNOWN


def _missing(name: str, found: Measured) -> str | None:
    """What the history would have to hold for an empty list to mean something; None if it holds it."""
    history, checked = found.load.history, found.checked
    if name == "stale_reads":
        return None if any(not history.final[r.op] for r in history.reads) else "no read before the end"
    if name == "split_brain":
        return None if history.nodes else "no acknowledgement names its term"
    if name in ("lost", "never_read", "recovered") and not history.write_op:
        return "no ledger write"
    return None if checked.closed or name == "never_read" else "no final read"


#: How each objective is judged; one that is not listed cannot be shown by the two files.
OBJECTIVES: dict[str, Judge] = {
    "rto": _rto,
    "rpo": _rpo,
    "gives_up": _gives_up,
    "availability": _availability,
    "interrupted": _interrupted,
    **{name: _latency_of(name) for name in LATENCIES},
    "mode": _mode,
    "declared": _declared,
    "goodput": _goodput,
    **{name: _counted(name) for name in COUNTED},
    **{name: _count_of(name) for name in CHECKERS},
}

#: Objectives that a lagging client or a stolen host can spoil; what the ledger shows stands regardless.
TIMING = ("rto", "availability", "goodput", "interrupted", *LATENCIES, "mode", "declared")
#: What the drill writes when clients are well.
BASELINE = ("drill", "baseline")
#: Answers on either side of a comparison of latencies.
ENOUGH = 100
#: A baseline of more than so many times the margin on it cannot show the margin.
NOISY = 5


# -- the rest -------------------------------------------------------------------------------------------


def _recovered(found: Measured) -> Finding:
    verdict = Verdict.FAIL if found.rto.censored else Verdict.PASS
    return Finding("rto", None, recovery_text(found), verdict)


def load_finding(found: Measured) -> Finding:
    """Whether the load could see the faults from begin to end."""
    reasons = [*blind(found), *outlasted(found)]
    text = "; ".join(reasons) or f"{len(found.load.by_due)} operations"
    return Finding("load", None, text, Verdict.UNKNOWN if reasons else Verdict.PASS)


def baseline_finding(found: Measured) -> Finding:
    """Whether clients were well just before each episode."""
    reasons = list(unclean(found))
    verdict = Verdict.UNKNOWN if reasons else Verdict.PASS
    return Finding("baseline", None, "; ".join(reasons) or "clean", verdict)


def _checker(found: Measured, given_up: Sequence[str] = ()) -> Finding:
    checked = found.checked
    verdict = checked.verdict(needs_closing=bool(found.load.history.write_op), given_up=given_up)
    reasons = [
        f"{checked.counts[name]} {name}" + (", given up knowingly" if name in given_up else "")
        for name in checked.defects()
    ]
    if verdict is Verdict.UNKNOWN:
        unread = len(checked.lists["never_read"])
        reasons = [
            *([f"{unread} keys never read"] if unread else []),
            *(f"no {kind} was ever ok" for kind in checked.silent),
        ] or ["no final read"]
    return Finding("checker", None, ", ".join(reasons) or "no defect", verdict)


def _gates(gates: list[str], void: list[str] | tuple[()]) -> Finding:
    if not gates:
        return Finding("gates", None, "none tripped", Verdict.PASS)
    names = f"tripped: {', '.join(dict.fromkeys(gates))}"
    if not void:
        return Finding("gates", None, f"{names}; no timing objective to void", Verdict.PASS)
    return Finding("gates", None, f"{names}; void: {', '.join(void)}", Verdict.UNKNOWN)


def _ns(bound: Any) -> int:
    if not isinstance(bound, int | float | str):
        raise ConfigError(f"not a duration: {bound!r}")
    return round(seconds(bound) * 1e9)


def _number(bound: Any) -> float:
    if isinstance(bound, bool) or not isinstance(bound, int | float) or bound < 0:
        raise ConfigError(f"a bound must be a number from 0, not {bound!r}")
    return bound
