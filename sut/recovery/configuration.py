"""The settings in force of the stack `recovery`: the sample's, and what the repository is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blackstart.model.errors import HarnessError
from sut import configuration as sample
from sut.recovery import backups
from sut.recovery.settings import ARCHIVE_TIMEOUT, DIFF_EVERY_S, FULL_EVERY_S, INCR_EVERY_S, VERIFY_EVERY_S

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: Seconds from one to the next.
_SCHEDULE = {
    "full": FULL_EVERY_S,
    "differential": DIFF_EVERY_S,
    "incremental": INCR_EVERY_S,
    "verification": VERIFY_EVERY_S,
}


def configuration(running: RunningStack) -> dict[str, Any]:
    """Settings by component. What cannot be asked now is named with the reason instead."""
    found = sample.configuration(running)
    try:
        known = backups.info(running)
        found["repository"] = {
            "version": backups.version(running),
            "status": known.status,
            "backups": [backup.label for backup in known.backups],
            "archive": f"{known.wal_min or 'nothing'} to {known.wal_max or 'nothing'}",
            "archive_timeout": ARCHIVE_TIMEOUT,
            "every_s": _SCHEDULE,
        }
    except HarnessError as error:
        found["repository"] = f"unknown: {error}"
    return found
