"""The command line `blackstart`. Each command lives in a module of its own."""

from __future__ import annotations

import sys

import click

from blackstart.cli.doctor_cmd import doctor_command
from blackstart.cli.heal_cmd import down_command, heal_command
from blackstart.cli.measure_cmd import check_command, measure_command
from blackstart.cli.report_cmd import report_command
from blackstart.cli.stack_cmd import status_command, up_command
from blackstart.model.errors import BlackstartError

#: Anything that prevents a verdict, and a usage error.
NO_VERDICT = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="blackstart")
def blackstart() -> None:
    """Chaos and disaster-recovery drills for LangChain/LangGraph services.

    Drills are pytest tests: run them with `pytest -m chaos`. These commands handle what is around them.

    \b
    A first look:     blackstart doctor && blackstart up && pytest -m chaos
    After a crash:    blackstart heal; blackstart down
    Recompute:        blackstart measure reports/latest/<drill>/<trial>

    Exit codes: 0 pass or done, 1 fail, 2 unknown, 3 no verdict or wrong usage.
    """


for _command in (
    doctor_command,
    up_command,
    status_command,
    heal_command,
    down_command,
    measure_command,
    check_command,
    report_command,
):
    blackstart.add_command(_command)


def main() -> None:
    """Run the command line; errors become one message on stderr and exit code 3."""
    try:
        code = blackstart.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        code = NO_VERDICT
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    except BlackstartError as error:
        click.echo(str(error), err=True)
        code = NO_VERDICT
    sys.exit(code if isinstance(code, int) else 0)
