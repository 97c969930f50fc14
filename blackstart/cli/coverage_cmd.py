"""`blackstart coverage`: which failures of which component or edge are drilled, and which drill is next."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from blackstart.coverage.grid import Cell, Coverage, State, to_dict
from blackstart.coverage.page import page, sentence
from blackstart.coverage.picture import STATE_SIGNS, TOP, alive, image
from blackstart.report.build import write
from blackstart.report.words import NBSP, age, plural

if TYPE_CHECKING:
    from blackstart.drill.planned import Plan

_STYLE = {State.PASS: "green", State.FAIL: "bold red", State.UNKNOWN: "yellow", State.UNRUN: "cyan"}
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("coverage")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--root", type=click.Path(path_type=Path), default=".", help="Project with the pyproject.toml.")
@click.option("--stack", default="", metavar="NAME", help="Map this one of [tool.blackstart.stacks].")
@click.option("--reports", type=click.Path(path_type=Path), help="Where runs wrote (default: ROOT/reports).")
@click.option("--html", "html", type=_FILE, help="Write a page with the picture, the holes and the drills.")
@click.option("--svg", "svg", type=_FILE, help="Write the picture alone.")
@click.option("--json", "as_json", type=_FILE, help="Write every cell and hole for machines.")
def coverage_command(
    paths: tuple[Path, ...],
    root: Path,
    stack: str,
    reports: Path | None,
    html: Path | None,
    svg: Path | None,
    as_json: Path | None,
) -> None:
    """Map which failure of which component or edge a drill covers, its last verdict, and what is worth most.

    Taken from the stack's declaration, the drills in PATHS (default: experiments), which are rehearsed, not
    run, and the runs that lie in the reports. A map is of one stack: the project's first, or that of --stack.
    Touches nothing that runs.
    """
    from blackstart.drill.collected import collected
    from blackstart.drill.mapped import mapped
    from blackstart.drill.planned import nothing_on

    root = root.resolve()
    reports = (reports or root / "reports").resolve()
    plan = collected(root, paths or (Path("experiments"),), reports)
    found = mapped(plan.stacks.get(stack) or nothing_on(stack, root, reports), datetime.now(UTC))
    found = replace(found, notes=(*found.notes, *_elsewhere(plan, stack)))
    _print(found)
    if html is not None:
        runbooks = os.path.relpath(root / "runbooks", html.resolve().parent)
        _write(html, page(found, runbooks))
    if svg is not None:
        _write(svg, image(found))
    if as_json is not None:
        _write(as_json, json.dumps(to_dict(found), indent=2) + "\n")


def _elsewhere(plan: Plan, stack: str) -> Iterator[str]:
    """What is drilled on other stacks, and where that is mapped."""
    for name, here in plan.stacks.items():
        if name != stack:
            drills = plural(len({run.experiment.name for run in here.rehearsals}), "drill")
            where, how = (f"stack {name!r}", f"--stack {name}") if name else ("the first stack", "no --stack")
            yield f"{drills} on {where}: on a map of its own ({how})"


def _write(path: Path, text: str) -> None:
    try:
        write(path, text)
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"written: {path}")


def _print(found: Coverage) -> None:
    console = Console(highlight=False)
    ranks = {hole.place.name: hole.rank for hole in found.holes if hole.rank <= TOP}
    for name, edges in (("component", False), ("edge", True)):
        rows = [cells for place, cells in found.rows if place.is_edge is edges]
        modes = alive(rows)
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(name, no_wrap=True)
        for mode in modes:
            table.add_column(mode.value, justify="center", overflow="fold")
        for cells in rows:
            rank = ranks.get(cells[0].place.name)
            table.add_row(cells[0].place.name, *(_sign(c, rank, found.now) for c in cells if c.mode in modes))
        console.print(table, "")
    console.print(
        "[dim]✓ passed, ✕ failed, ? unknown, with the age of the last run; ○ never run; □ no drill, with its "
        "rank; blank: no fault does that[/]\n"
    )
    console.print(f"{sentence(found)}\n")
    _print_holes(console, found)
    for note in found.notes:
        console.print(f"note: {note}", markup=False)


def _sign(cell: Cell, rank: int | None, now: datetime) -> str:
    if cell.state is State.IDLE:
        return ""
    if cell.state is State.HOLE:
        return f"[dim]□ {rank or ''}[/]".replace(" [/]", "[/]")
    old = f" {_short((now - cell.started).total_seconds())}" if cell.started else ""
    return f"[{_STYLE[cell.state]}]{STATE_SIGNS[cell.state]}{old}[/]"


def _short(value_s: float) -> str:
    """An age in few characters, for a narrow terminal: `12d`, `3h`, `5m`."""
    number, _, unit = age(value_s).partition(NBSP)
    return f"{number}{unit[0]}"


def _print_holes(console: Console, found: Coverage) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("next", justify="right")
    table.add_column("value", justify="right")
    table.add_column("place", no_wrap=True)
    table.add_column("not drilled; why; for example", overflow="fold")
    for hole in found.holes[:TOP]:
        modes = ", ".join(cell.mode.value for cell in hole.cells)
        told = Text.assemble((modes, "bold"), f"\n{hole.why}\n", (hole.cells[0].call or "", "cyan"))
        table.add_row(str(hole.rank), f"{hole.value:.1f}", hole.place.name, told)
    if found.holes:
        console.print(table)
