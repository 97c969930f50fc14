"""`blackstart heal` and `blackstart down`: put right, or away, what runs have left."""

from __future__ import annotations

import shutil
from typing import Any

import click

from blackstart.model.errors import ConfigError, HarnessError

#: Something is left: see what was printed.
LEFT = 1


@click.command("heal")
@click.argument("run_id", required=False)
@click.option("--all", "everything", is_flag=True, help="Also runs that left no journal here; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def heal_command(run_id: str | None, everything: bool, yes: bool) -> None:
    """Undo the faults that dead runs left in force (yours, or RUN_ID alone), on whatever stack.

    A live run of yours is never touched; a stack that was to be kept stays. Asks before it touches a run
    that left no journal here: it may be live. Exit 1 if something is left.
    """
    from blackstart.injection.heal import heal
    from blackstart.injection.state import state_dir

    if everything:
        which = "Every run on this engine that left no journal here"
    else:
        which = f"Run {run_id}, which left no journal here,"
    foreign = everything or (run_id is not None and not state_dir(run_id).exists())
    if foreign and not yes:
        click.confirm(
            f"{which} may be live, a drill of another user say: healing takes its faults away. "
            "Heal all the same?",
            abort=True,
        )
    report = heal(run_id, all=everything)
    for line in report.lines:
        click.echo(line)
    if not report.runs:
        click.echo("nothing to heal")
    if not report.ok:
        raise click.exceptions.Exit(LEFT)


@click.command("down")
@click.argument("run_ids", nargs=-1)
@click.option("--stack", metavar="NAME", help="Only the one of this name that `blackstart up` left running.")
@click.option("--all", "everything", is_flag=True, help="Every run on this engine; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def down_command(run_ids: tuple[str, ...], stack: str | None, everything: bool, yes: bool) -> None:
    """Remove the stacks of your runs that are over or kept, or of RUN_IDS, or the one called --stack.

    Containers, networks and volumes go by their label alone. Asks before it takes a stack from a live run.
    Exit 1 if something is left.
    """
    from blackstart.injection.lock import RunLock
    from blackstart.injection.state import runs, state_dir
    from blackstart.platforms.docker import DockerPlatform
    from blackstart.platforms.engine import connect

    named = [*run_ids, *([_left_up(stack)] if stack else [])]
    platform = DockerPlatform(connect())
    present = platform.runs()
    if named:
        chosen = named
    elif everything:
        chosen = present
    else:
        chosen = [run for run in runs() if not RunLock(run).held_elsewhere()]
    live = {run for run in chosen if RunLock(run).held_elsewhere()}  # ConfigError for what is no run id
    if everything and present and not yes:
        click.confirm(f"Remove every run on this engine ({', '.join(present)})?", abort=True)
    elif (taken := [run for run in chosen if run in live]) and not yes:
        click.confirm(f"{', '.join(taken)} is in use by a live process. Remove it all the same?", abort=True)
    left = False
    for run in chosen:
        removed = _remove(run, platform)
        left |= not removed
        # Where something is left, so is what tells how to undo it.
        if removed and run not in live:
            shutil.rmtree(state_dir(run), ignore_errors=True)
    if not chosen:
        click.echo("nothing to remove")
    if others := [run for run in present if run not in chosen]:
        click.echo(f"left alone (name them, or --all): {', '.join(others)}")
    if left:
        raise click.exceptions.Exit(LEFT)


def _left_up(stack: str) -> str:
    """The run of the stack that was left running under this name."""
    from blackstart.drill.kept import remembered

    known = remembered()
    if stack not in known:
        there = ", ".join(f"{name} (run {run})" for name, run in known.items()) or "none"
        raise ConfigError(f"no stack {stack!r} was left running; left running: {there}")
    return known[stack]


def _remove(run: str, platform: Any) -> bool:
    """Whether nothing of the run is left on its engine."""
    from blackstart.injection.heal import of_another_engine
    from blackstart.platforms.capabilities import is_left

    try:
        if elsewhere := of_another_engine(run, platform):
            click.echo(f"run {run}: {elsewhere}", err=True)
            return False
        found = platform.remove_run(run)
    except HarnessError as error:
        click.echo(f"run {run}: {error}", err=True)
        return False
    kept = [name for name in found if is_left(name)]
    removed = len(found) - len(kept)
    click.echo(f"run {run}: " + (f"removed {removed}" if removed else "nothing was left"))
    for name in kept:
        click.echo(f"run {run}: {name}")
    return True
