"""`blackstart up` and `blackstart status`: a stack to look at, and its state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack


@click.command("up")
@click.option("--root", type=click.Path(path_type=Path), default=".", help="Project with the pyproject.toml.")
@click.option("--stack", default="", metavar="NAME", help="Start this one of [tool.blackstart.stacks].")
def up_command(root: Path, stack: str) -> None:
    """Start the project's first stack, or that of --stack, and leave it running; its drills then use it.

    Remove it with `blackstart down`. Several stacks may be up if memory allows; a drill uses its own.
    """
    from blackstart.drill.console import Progress
    from blackstart.drill.session import StackSession
    from blackstart.stack.declared import load_stack

    declared, reports = load_stack(root.resolve(), stack), (root / "reports").resolve()
    with StackSession(declared, reports, Progress(), keep=True) as session:
        _print(session.running)
    how = f"blackstart down --stack {stack}" if stack else "blackstart down"
    click.echo(f"run {session.run_id} is up; `pytest -m chaos` uses it, `{how}` removes it")


@click.command("status")
@click.option("--root", type=click.Path(path_type=Path), default=".", help="Project with the pyproject.toml.")
@click.option("--stack", metavar="NAME", help="Show this one of [tool.blackstart.stacks] alone.")
def status_command(root: Path, stack: str | None) -> None:
    """Show the project's stacks that were left running: instances, roles, addresses. Exit 1 if none is up."""
    from blackstart.drill import kept
    from blackstart.platforms.docker import DockerPlatform
    from blackstart.platforms.engine import connect
    from blackstart.stack.declared import load_stack, stack_names

    root = root.resolve()
    # Without any, loading the first says how to declare one.
    declared = [load_stack(root, name) for name in ([stack] if stack else stack_names(root) or ("",))]
    platform = DockerPlatform(connect())
    up = [found for each in declared if (found := kept.find(each, platform)) is not None]
    for running in up:
        _print(running)
    if not up:
        which, how = (f"stack {stack!r} is not up", f" --stack {stack}") if stack else ("no stack is up", "")
        click.echo(f"{which}; start it with `blackstart up{how}`", err=True)
        raise click.exceptions.Exit(1)


def _print(running: RunningStack) -> None:
    roles = {
        name: role for service in running.stack.roles for name, role in running.role_map(service).items()
    }
    table = Table(box=None, header_style="bold", title=f"stack {running.stack.name}, run {running.run_id}")
    for column in ("instance", "service", "zone", "role", "state", "published"):
        table.add_column(column)
    for instance in running.stack.instances:
        published = ", ".join(
            f"{p} {':'.join(map(str, running.address(instance.name, p)))}" for p in instance.publish
        )
        container = running.container(instance.name)
        state = "running" if running.platform.is_running(container) else "down"
        if running.platform.is_paused(container):
            state = "frozen"
        table.add_row(
            instance.name, instance.service, instance.zone, roles.get(instance.name, ""), state, published
        )
    Console(highlight=False).print(table)
