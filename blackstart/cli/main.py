"""The command line `blackstart`. Each command lives in a module of its own."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from blackstart.model.errors import BlackstartError

#: Anything that prevents a verdict, and a usage error.
NO_VERDICT = 3

#: Where each command lives; loaded on use, since some need Docker and others are timed.
COMMANDS = {
    "check": "measure_cmd",
    "coverage": "coverage_cmd",
    "doctor": "doctor_cmd",
    "down": "heal_cmd",
    "evidence": "evidence_cmd",
    "faults": "faults_cmd",
    "heal": "heal_cmd",
    "measure": "measure_cmd",
    "provision": "provision_cmd",
    "report": "report_cmd",
    "schedule": "schedule_cmd",
    "status": "stack_cmd",
    "up": "stack_cmd",
}


class Commands(click.Group):
    """A group that loads a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"blackstart.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
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
