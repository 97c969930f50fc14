"""The terminal's summary of a session."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from blackstart.drill.result import Result
from blackstart.model.durations import human
from blackstart.model.experiment import Role
from blackstart.model.verdict import Verdict

_COLOUR = {"pass": "green", "fail": "red", "unknown": "yellow", "caught": "green", "NOT CAUGHT": "red"}


def summary_lines(results: Sequence[Result], width: int = 118) -> list[str]:
    """One row a trial: verdict, RTO with its bounds, lost writes, availability, outcome of the control."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("drill", "run as", "verdict", "RTO", "lost", "availability", "objectives broken"):
        table.add_column(column)
    for result in results:
        word = outcome(result)
        table.add_row(
            result.experiment.name,
            result.role.value if result.role is not Role.DRILL else f"trial {result.trial}",
            f"[{_COLOUR.get(word, 'yellow')}]{word}[/]",
            rto(result),
            str(result.measured["rpo"]["lost"]),
            availability(result),
            ", ".join(result.broke) or "none",
        )
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(table)
    return out.getvalue().rstrip().splitlines()


def outcome(result: Result) -> str:
    """The verdict; for a control, whether the weakness was caught by the named objective."""
    if result.role is not Role.CONTROL:
        return result.verdict.value
    if result.proved:
        return "caught"
    return "NOT CAUGHT" if result.verdict is not Verdict.UNKNOWN else "unknown"


def rto(result: Result) -> str:
    """`1.41 s to 1.46 s (chat)`, or `more than 30 s` if censored."""
    found = result.measured["rto"]
    if found["f"] is None:
        return "0"
    if found["censored"]:
        return f"more than {human(found['lo_s'])} ({found['f']})"
    return f"{human(found['lo_s'])} to {human(found['hi_s'])} ({found['f']})"


def availability(result: Result) -> str:
    """The share of oks during the fault."""
    during = result.measured["availability"]["during"]
    return "-" if during is None else f"{during:.1%}"
