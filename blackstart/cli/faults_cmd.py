"""`blackstart faults`: what can be injected, by failure mode, and the details of one."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from blackstart.faults import REGISTRY, About, about
from blackstart.model.modes import Mode

_DURATION = 'a Duration is a number of seconds, or a text such as "800ms", "2s", "1m"'


@click.command("faults")
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list, or one object for KIND.")
def faults_command(kind: str | None, as_json: bool) -> None:
    """List the faults that a drill can inject, by failure mode; with KIND, tell all about one.

    Exit 3, naming the known ones, for an unknown KIND.
    """
    found = [about(k) for k in ([kind] if kind else sorted(REGISTRY))]
    if as_json:
        told = [each.to_dict() for each in found]
        click.echo(json.dumps(told[0] if kind else told, indent=2))
    elif kind:
        _show(found[0])
    else:
        _list(found)


def _list(found: list[About]) -> None:
    console = Console(highlight=False)
    width = max(len(each.kind) for each in found) + 2
    for mode in Mode:
        family = [each for each in found if each.mode is mode]
        if not family:
            continue
        console.print(f"[bold]{mode.value}[/]: {mode.meaning}")
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(width=width, no_wrap=True)
        table.add_column(overflow="fold")
        for each in family:
            needs = f"needs {', '.join(each.capabilities)}; " if each.capabilities else ""
            place = "ends in place" if each.expires_in_place else "does not end in place"
            told = Text.assemble(f"{each.summary}\n", (each.example, "cyan"), (f"\n{needs}{place}", "dim"))
            table.add_row(f"  {each.kind}", told)
        console.print(table)
    console.print(
        "\n[dim]ends in place: a helper at the place of the fault ends it when harness and watchdog are both"
        " gone; what does not waits for `blackstart heal`.\nAll about one: blackstart faults KIND[/]"
    )


def _show(each: About) -> None:
    console = Console(highlight=False, markup=False)
    console.print(f"{each.kind}: {each.summary}\n\n{each.details}\n")
    console.print(f"  failure mode  {each.mode.value}: {each.mode.meaning}")
    console.print(f"  example       drill.inject({each.example})")
    console.print(f"  needs         {', '.join(each.capabilities) or 'nothing of the platform'}")
    console.print(f"  undo          {each.undo}")
    console.print(f"  ends in place {each.in_place}\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("parameter", "type", "default", "what is said of it"):
        table.add_column(column, overflow="fold", no_wrap=column == "parameter")
    said = None
    for p in each.parameters:
        says, said = "as above" if p.says == said else p.says, p.says
        table.add_row(p.name, p.type, "(required)" if p.default is None else p.default, says)
    console.print(table)
    if any(p.type == "Duration" for p in each.parameters):
        console.print(f"\n{_DURATION}")
