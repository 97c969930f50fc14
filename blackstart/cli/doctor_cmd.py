"""`blackstart doctor`: what this machine lacks for a drill, and how to get it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from rich.console import Console
from rich.table import Table

from blackstart.model.errors import BlackstartError

if TYPE_CHECKING:
    import docker

    from blackstart.model.stack import Stack

State = Literal["ok", "later", "missing"]
STYLE = {"ok": "green", "later": "yellow", "missing": "bold red"}
PYTHON = (3, 11)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `later` is made by the first drill itself; `missing` stops a drill."""

    name: str
    state: State
    detail: str
    remedy: str = ""


@click.command("doctor")
@click.option("--root", type=click.Path(path_type=Path), default=".", help="Project with the pyproject.toml.")
def doctor_command(root: Path) -> None:
    """Say what this machine lacks for a drill, and how to get it.

    Exit 1 if something needed is missing, 0 otherwise. Changes nothing.
    """
    findings = list(examine(root.resolve()))
    table = Table(box=None, header_style="bold")
    for column in ("", "what", "found", "how to get it"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = f"[{STYLE[finding.state]}]{finding.state}[/]"
        table.add_row(mark, finding.name, finding.detail, finding.remedy)
    Console(highlight=False).print(table)
    if missing := [finding.name for finding in findings if finding.state == "missing"]:
        click.echo(f"\nmissing: {', '.join(missing)}", err=True)
        raise click.exceptions.Exit(1)
    click.echo("\nready for a drill: pytest -m chaos")


def examine(root: Path) -> Iterator[Finding]:
    """Look at everything that a drill of the project in `root` needs, in order of dependence."""
    yield _python()
    stacks: list[Stack] = []
    for name in _names(root):
        from blackstart.stack.declared import load_stack

        try:
            stacks.append(load_stack(root, name))
            yield Finding("stack", "ok", f"{stacks[-1].name}: {len(stacks[-1].instances)} instances")
        except BlackstartError as error:
            yield Finding("stack", "missing", str(error), "run this in the project's folder, or give --root")
    try:
        from blackstart.platforms import engine

        client = engine.connect()
    except BlackstartError as error:
        yield Finding("Docker engine", "missing", str(error), "make setup")
        return
    try:
        yield from _engine(client, stacks)
    except BlackstartError as error:
        yield Finding("Docker engine", "missing", str(error), "make setup")


def _names(root: Path) -> tuple[str, ...]:
    """The project's stacks; where there is none, the first, whose absence is then told."""
    from blackstart.stack.declared import stack_names

    try:
        return stack_names(root) or ("",)
    except BlackstartError:
        return ("",)


def _python() -> Finding:
    enough = sys.version_info[:2] >= PYTHON
    remedy = "" if enough else "install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)"
    return Finding("Python", "ok" if enough else "missing", platform.python_version(), remedy)


def _engine(client: docker.DockerClient, stacks: Sequence[Stack]) -> Iterator[Finding]:
    """What the largest of the stacks needs, since one runs at a time, and the images of all."""
    from blackstart.platforms import engine
    from blackstart.stack import images

    version = str(client.version().get("Version", "?"))
    yield Finding("Docker engine", "ok", f"{version}, API {client.api.api_version}, at {engine.endpoint()}")
    memory, disk = engine.room(client)
    memory_mib = max((stack.memory_mib for stack in stacks), default=0)
    disk_mib = max((stack.disk_mib for stack in stacks), default=0)
    yield _room("memory", memory, memory_mib, "close something, or give it more")
    yield _room("disk", disk, disk_mib, "`docker system prune` frees what is unused")
    base = images.base()
    yield (
        Finding("base image", "ok", base)
        if images.present(client, base)
        else Finding("base image", "later", f"no {base}", "pulled, or made by tools/airgap-base (make setup)")
    )
    tags = {images.tag_of(image): image.name for stack in stacks for image in stack.images()}
    for tag, name in tags.items():
        yield (
            Finding(f"image {name}", "ok", tag)
            if images.present(client, tag)
            else Finding(f"image {name}", "later", f"no {tag}", "built by the first drill")
        )


def _room(name: str, have: int | None, need: int, remedy: str) -> Finding:
    if have is None:
        return Finding(name, "ok", f"cannot be told from here; {need} MiB needed")
    detail = f"{have} MiB free, {need} MiB needed"
    return Finding(name, "ok", detail) if have >= need else Finding(name, "missing", detail, remedy)
