"""`blackstart report`: build reports again from what runs left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from blackstart.cli.main import NO_VERDICT
from blackstart.model.errors import EvidenceError
from blackstart.report import build, summary


@click.command("report")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    envvar="BLACKSTART_SECRETS",
    help="A text to mask wherever it occurs; may be repeated. BLACKSTART_SECRETS: several, split at spaces.",
)
def report_command(folder: Path, secrets: tuple[str, ...]) -> None:
    """Write report.html and report.md again for the run in FOLDER.

    For a folder of runs, write them for every run below it, and index.html over all.
    """
    try:
        if (folder / "run.json").is_file():
            written = build.build(folder, secrets)
        else:
            runs = sorted(file.parent for file in folder.rglob("run.json"))
            if not runs:
                raise EvidenceError(str(folder), "neither run.json nor a folder that has one")
            written = [path for run in runs for path in build.build(run, secrets)]
            written.append(summary.build(folder, secrets))
    except EvidenceError as error:
        click.echo(str(error), err=True)
        sys.exit(NO_VERDICT)
    for path in written:
        click.echo(str(path))
