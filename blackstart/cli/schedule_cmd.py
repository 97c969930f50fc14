"""`blackstart schedule`: what a run did, as a schedule to be played again."""

from __future__ import annotations

from pathlib import Path

import click

from blackstart.schedule.file import to_json, to_yaml
from blackstart.schedule.replay import read_run


@click.command("schedule", short_help="Write what a run did as a schedule, to be played again.")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="JSON instead of YAML.")
def schedule_command(folder: Path, as_json: bool) -> None:
    """Print the schedule of the run in DIR: blackstart schedule DIR > again.yaml

    A drill does it again with drill.play(Schedule.load("again.yaml")). If the run played one schedule, these
    are its steps as planned; else each of its faults from when it began to when it was undone.
    """
    data = read_run(folder).to_dict()
    click.echo(to_json(data) if as_json else to_yaml(data), nl=False)
