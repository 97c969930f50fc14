"""`blackstart measure` and `blackstart check`: one JSON object, and the verdict as exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from blackstart.cli.main import NO_VERDICT
from blackstart.history.reader import read_history
from blackstart.measure.check import check_history
from blackstart.measure.run import evaluate
from blackstart.model.errors import HarnessError
from blackstart.model.verdict import Verdict


class WrongUsage(click.UsageError):
    """A usage error that exits 3: click's own 2 would say unknown."""

    exit_code = NO_VERDICT


class VerdictCommand(click.Command):
    """A command whose exit status is a verdict."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click's; raises WrongUsage."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise WrongUsage(error.format_message(), error.ctx) from None


@click.command(name="measure", cls=VerdictCommand, short_help="Recompute a run's figures and verdict.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def measure_command(folder: Path) -> None:
    """Measure the run in DIR, from its history.jsonl and events.jsonl alone.

    Prints one JSON object. Exit status: 0 pass, 1 fail, 2 unknown, 3 no verdict.
    """

    def run() -> tuple[dict[str, Any], list[str]]:
        found = evaluate(folder)
        return found.to_dict(), found.notes

    _answer(run)


@click.command(name="check", cls=VerdictCommand, short_help="Check what became of a history's writes.")
@click.argument("history", metavar="HISTORY", type=click.Path(path_type=Path))
@click.option("--linearizable", is_flag=True, help="A stale read is a failure.")
def check_command(history: Path, linearizable: bool) -> None:
    """Run the checkers over HISTORY, a history.jsonl of ours or of another tool in this format.

    Prints one JSON object. Exit status: 0 pass, 1 fail, 2 unknown, 3 no verdict.
    """

    def run() -> tuple[dict[str, Any], list[str]]:
        read = read_history(history)
        return check_history(read, linearizable=linearizable).to_dict(), read.notes

    _answer(run)


def _answer(run: Callable[[], tuple[dict[str, Any], list[str]]]) -> None:
    """Print the result and exit by its verdict; 3 with nothing on stdout for anything that prevents one."""
    try:
        result, notes = run()
        text = json.dumps(result)
    except HarnessError as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        _refuse("interrupted")
    except Exception as error:  # noqa: BLE001 - a crash of ours must not exit as 1, which says fail
        _refuse(f"cannot judge: {type(error).__name__}: {error}")
    else:
        for note in notes:
            click.echo(f"note: {note}", err=True)
        try:
            click.echo(text)
        except OSError as error:
            _refuse(f"cannot write the result: {error.strerror}")
        sys.exit(Verdict(result["verdict"]).exit_code)


def _refuse(message: str) -> None:
    click.echo(message, err=True)
    sys.exit(NO_VERDICT)
