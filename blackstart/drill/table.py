"""The terminal's summary of a session."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from blackstart.drill.result import Result
from blackstart.model.durations import human
from blackstart.model.verdict import Verdict
from blackstart.report.matrix import SIGNS, Sabotage, matrix
from blackstart.report.sentences import MOST

_COLOUR = {"pass": "green", "fail": "red", "unknown": "yellow", "caught": "green", "NOT CAUGHT": "red"}


def summary_lines(results: Sequence[Result], width: int = 118) -> list[str]:
    """One row a trial: verdict, RTO with its bounds, lost writes, availability, outcome of the control."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("drill", "run as", "verdict", "RTO", "lost", "availability", "objectives broken"):
        table.add_column(column, no_wrap=column == "drill", overflow="fold")
    for result in results:
        word = outcome(result)
        table.add_row(
            result.experiment.name,
            result.name,
            f"[{_COLOUR.get(word, 'yellow')}]{word}[/]",
            rto(result),
            str(result.measured["rpo"]["lost"]),
            availability(result),
            ", ".join(result.broke) or "none",
        )
    return [*_lines(table, width), *_matrix_lines(results, width)]


def _matrix_lines(results: Sequence[Result], width: int) -> list[str]:
    """Objective by control, and the mutation score; nothing where no control was run."""
    sabotages = [
        Sabotage.of(r.experiment.name, r.control, r.experiment.objectives.to_dict(), r.findings)
        for r in results
        if r.control is not None
    ]
    found = matrix(sabotages, [o for r in results for o in r.experiment.objectives.to_dict()])
    if found is None:
        return []
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("objective")
    table.add_column("over all")
    for number in range(1, len(found.sabotages) + 1):
        table.add_column(str(number), justify="center")
    for objective, status, cells in found.rows:
        table.add_row(objective, f"[{_COLOUR.get(status, 'yellow')}]{status}[/]", *(SIGNS[c] for c in cells))
    legend = [f"  {n}  {s.variant} ({s.drill})" for n, s in enumerate(found.sabotages, 1)]
    return [
        "",
        *_lines(table, width),
        *legend,
        "  ● caught by the objective named for it   ○ broke too   ✕ named, NOT CAUGHT   · held",
        f"resilience mutation score: {found.score}",
    ]


def _lines(table: Table, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(table)
    return out.getvalue().rstrip().splitlines()


def outcome(result: Result) -> str:
    """The verdict; for a control, whether the weakness was caught by the named objective."""
    if result.control is None:
        return result.verdict.value
    return {Verdict.PASS: "caught", Verdict.FAIL: "NOT CAUGHT"}.get(result.proof, "unknown")


def rto(result: Result) -> str:
    """`1.41 s to 1.46 s (chat)`, or `more than 30 s` if censored."""
    found = result.measured["rto"]
    if found["f"] is None:
        return "0"
    if found["censored"]:
        return f"more than {human(found['lo_s'])} ({found['f']})"
    out = found["unavailable_s"]
    # Well in between: then the end of the last outage says little of how long service was gone.
    rest = f", out {human(out)}" if out < MOST * found["hi_s"] else ""
    return f"{human(found['lo_s'])} to {human(found['hi_s'])} ({found['f']}{rest})"


def availability(result: Result) -> str:
    """The share of oks during the fault."""
    during = result.measured["availability"]["during"]
    return "-" if during is None else f"{during:.1%}"
