"""The page of the map: the picture, the most valuable holes, the drills, all in one file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote

from jinja2 import ChoiceLoader, PackageLoader

from blackstart.coverage.grid import Coverage, State, Strike
from blackstart.coverage.picture import STATE_SIGNS, TOP, picture
from blackstart.report.build import environment
from blackstart.report.words import CAUGHT, age, plural

_KEY = {
    State.PASS: "passed when last run",
    State.FAIL: "failed",
    State.UNKNOWN: "unknown",
    State.UNRUN: "drill, never run",
}


@dataclass
class Row:
    """A drill in the table."""

    name: str
    verdict: str | None
    age: str
    control: str
    runbook: str
    href: str
    strikes: list[str] = field(default_factory=list)
    seen: bool = False


def page(found: Coverage, runbooks: str = "runbooks") -> str:
    """The page as HTML; `runbooks` is the way from the page's folder to that of the runbooks."""
    templates = environment().overlay(
        loader=ChoiceLoader([PackageLoader("blackstart.coverage"), PackageLoader("blackstart.report")])
    )
    key = [(s.value.replace(" ", "-"), STATE_SIGNS[s], words) for s, words in _KEY.items() if found.count(s)]
    key.append(("next", "1", f"no drill; the number is its rank among the next {TOP}"))
    return templates.get_template("coverage.html.j2").render(
        map=found,
        picture=picture(found),
        sentence=sentence(found),
        key=key,
        top=TOP,
        drills=_drills(found, runbooks),
    )


def sentence(found: Coverage) -> str:
    """The map in a line or two."""
    cells = found.cells
    run = found.count(State.PASS, State.FAIL, State.UNKNOWN)
    drilled = run + found.count(State.UNRUN)
    parts = [
        f"{found.count(State.PASS)} passed when last run",
        *(
            f"{found.count(s)} {word}"
            for s, word in ((State.FAIL, "failed"), (State.UNKNOWN, "ended unknown"))
            if found.count(s)
        ),
    ]
    if unrun := found.count(State.UNRUN):
        parts.append(f"{unrun} never run here")
    untouched = found.untouched
    told = f"{drilled} of {plural(len(cells), 'cell')} have a drill: {', '.join(parts)}."
    return f"{told} {len(untouched)} of {plural(len(found.rows), 'place')} are struck by none."


def _drills(found: Coverage, runbooks: str) -> list[Row]:
    rows: dict[str, Row] = {}
    for cell in found.cells:
        for strike in cell.strikes:
            row = rows.setdefault(strike.drill, _row(strike, found, runbooks))
            row.strikes.append(f"{cell.place.name} {cell.mode.value}")
            row.seen |= strike.seen
    return [rows[name] for name in sorted(rows)]


def _row(strike: Strike, found: Coverage, runbooks: str) -> Row:
    last = strike.last
    return Row(
        strike.drill,
        last.verdict.value if last else None,
        age((found.now - last.started).total_seconds()) if last else "–",
        CAUGHT[last.control.value] if last and last.control else "not run",
        strike.runbook,
        quote(re.sub(r"/+$", "", runbooks)) + f"/{quote(strike.runbook)}.md",
    )
