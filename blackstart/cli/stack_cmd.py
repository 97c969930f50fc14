"""`blackstart up` and `blackstart status`: a stack to look at, and its state."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table


@click.command("up")
@click.option("--root", type=click.Path(path_type=Path), default=".", help="Project with the pyproject.toml.")
def up_command(root: Path) -> None:
    """Start the project's stack and leave it running; drills then use it.

    Remove it with `blackstart down`.
    """
    from blackstart.drill.console import Progress
    from blackstart.drill.session import StackSession
    from blackstart.stack.declared import load_stack

    session = StackSession(load_stack(root.resolve()), (root / "reports").resolve(), Progress(), keep=True)
    with session:
        _table(session)
    click.echo(f"run {session.run_id} is up; `pytest -m chaos` uses it, `blackstart down` removes it")


@click.command("status")
@click.option("--root", type=click.Path(path_type=Path), default=".", help="Project with the pyproject.toml.")
def status_command(root: Path) -> None:
    """Show the running stack: instances, roles, addresses. Exit 1 if none is up."""
    from blackstart.drill import kept
    from blackstart.platforms.docker import DockerPlatform
    from blackstart.platforms.engine import connect
    from blackstart.stack.declared import load_stack

    running = kept.find(load_stack(root.resolve()), DockerPlatform(connect()))
    if running is None:
        click.echo("no stack is up; start one with `blackstart up`", err=True)
        raise click.exceptions.Exit(1)
    _print(running)


def _table(session: object) -> None:
    _print(session.running)  # type: ignore[attr-defined]  # StackSession is imported only when used


def _print(running: object) -> None:
    from blackstart.stack.running import RunningStack

    assert isinstance(running, RunningStack)
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
