"""`python3 -m restoring COMMAND …`: ends with 1 and one line that says why, where it does not succeed."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from .base import RUN, Failed, alone, flagged
from .in_place import restore_in_place
from .rebuild import await_primary, await_recovery, bootstrap_from_repository, rebuild_from_repository
from .running import end_restores, lead, noted
from .side import drop_cluster, restore_cluster
from .verify import expect_verification, verify_restore

COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "restore-cluster": restore_cluster,
    "drop-cluster": drop_cluster,
    "verify-restore": verify_restore,
    "expect-verification": expect_verification,
    "restore-in-place": restore_in_place,
    "rebuild-from-repository": rebuild_from_repository,
    "bootstrap-from-repository": bootstrap_from_repository,
    "await-recovery": await_recovery,
    "await-primary": await_primary,
    "end-restores": end_restores,
}
#: Those that make or drop a side cluster: one at a time.
ALONE = ("restore-cluster", "drop-cluster", "verify-restore")
#: Those that would go on where whoever called them is gone. What Patroni has called Patroni ends.
NOTED = ("restore-cluster", "verify-restore", "restore-in-place", "rebuild-from-repository")
#: A negative control has every restore end well, whatever came of it.
IGNORES_ERRORS = "restore-ignores-errors"


def main(words: Sequence[str]) -> int:
    """Run a command; its exit status."""
    command = COMMANDS.get(words[0]) if words else None
    if command is None:
        print(f"commands: {', '.join(COMMANDS)}", file=sys.stderr)
        return 64
    if words[1:] in (["-h"], ["--help"]):
        print(inspect.getdoc(command))
        return 0
    RUN.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with (
            noted(RUN) if words[0] in NOTED else nullcontext(),
            alone(RUN) if words[0] in ALONE else nullcontext(),
        ):
            command(words[1:])
    except Failed as error:
        print(f"{words[0]}: failed: {error}", file=sys.stderr)
        return 0 if flagged(IGNORES_ERRORS) else 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in NOTED:
        lead()
    sys.exit(main(sys.argv[1:]))
