"""`blackstart provision`: new machines for a stack that has lost some."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from blackstart.model.errors import ConfigError


@click.command("provision")
@click.argument("run_id")
@click.argument("instances", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every instance that is gone.")
@click.option(
    "--env",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='JSON: by instance, variables beyond those declared, as {"app-1": {"KEY": "value"}}.',
)
@click.option("--root", type=click.Path(path_type=Path), default=".", help="Project with the pyproject.toml.")
def provision_command(
    run_id: str, instances: tuple[str, ...], everything: bool, env: Path | None, root: Path
) -> None:
    """Start those INSTANCES of the stack of RUN_ID that are gone, as the project declares them now.

    Each comes up empty where its predecessor was: at its name, its address, its published ports. Instances
    that are there are left alone, running or not. It does not wait until they are ready. For runbooks, also
    those that a drill follows: it takes no lock.
    """
    from blackstart.platforms.docker import DockerPlatform
    from blackstart.platforms.engine import connect
    from blackstart.stack.declared import load_stack, stack_names
    from blackstart.stack.images import ensure_images
    from blackstart.stack.provision import supply
    from blackstart.stack.running import RunningStack

    if everything is bool(instances):
        raise click.UsageError("name the instances to start, or --all")
    platform, root = DockerPlatform(connect()), root.resolve()
    labels = {c.stack for c in platform.list(run_id)}
    if len(labels) != 1:
        raise ConfigError(f"no stack of run {run_id} is here; runs: {', '.join(platform.runs()) or 'none'}")
    [label] = labels
    stack = load_stack(root, label if label in stack_names(root) else "")
    if stack.name != label:
        raise ConfigError(f"run {run_id} is of stack {label!r}, which {root} does not declare")
    running = RunningStack.find(stack, run_id, platform, lost=True)
    tags = ensure_images(stack.images(), progress=click.echo)
    wanted = tuple(stack.by_name) if everything else instances
    started = supply(running, wanted, tags, _variables(env) if env else {})
    click.echo(f"started: {', '.join(started)}" if started else "none of them is gone: nothing was started")


def _variables(file: Path) -> Mapping[str, Mapping[str, str]]:
    """The variables by instance; ConfigError, which repeats none of them, if the file holds none."""
    try:
        told = dict(json.loads(file.read_text()))
        return {str(name): {str(k): str(v) for k, v in dict(each).items()} for name, each in told.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        raise ConfigError(f"{file}: not a JSON object of variables by instance") from None
