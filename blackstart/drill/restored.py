"""What a drill restored, from which backup, with which checks: the event that evidence is built from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from blackstart.model.errors import ConfigError
from blackstart.model.experiment import Role
from blackstart.model.verdict import Verdict

if TYPE_CHECKING:
    from blackstart.drill.attempt import Attempt

#: What a check showed: whether it held, alone or with what was seen, as `(True, "1204 rows, equal digests")`.
Check = bool | tuple[bool, str]


def restore_event(
    what: str,
    backup: str,
    into: str,
    type: str,
    target: str | None,
    timeline: int | None,
    checks: Mapping[str, Check],
) -> dict[str, Any]:
    """The fields of the event `restored`; ConfigError where one that must be told is empty."""
    told = {"what": what, "backup": backup, "into": into, "type": type}
    if empty := [name for name, value in told.items() if not value.strip()]:
        raise ConfigError(f"a restore is recorded with its {', '.join(empty)}: tell what it was")
    if not checks:
        raise ConfigError("a restore that nothing checked is no evidence: record at least one check")
    return {
        "what": what,
        "from": backup,
        "into": into,
        "type": type,
        "target": target,
        "timeline": timeline,
        "checks": {name: _check(check) for name, check in checks.items()},
    }


def record(attempt: Attempt, event: Mapping[str, Any]) -> None:
    """Write the event, and its checks as a finding, so that one that failed fails the trial.

    A placebo restores nothing, so nothing is recorded.
    """
    if attempt.role is Role.PLACEBO:
        attempt.notes.append(f"placebo: no restore is recorded: {event['what']}")
        return
    attempt.events.write("restore", "restored", **event)
    checks = event["checks"]
    failed = [f"{name} ({told['detail'] or 'failed'})" for name, told in checks.items() if not told["passed"]]
    attempt.events.write(
        "drill",
        "finding",
        objective="restored",
        bound=None,
        measured=f"{event['what']}: " + ("; ".join(failed) or f"held: {', '.join(checks)}"),
        verdict=(Verdict.FAIL if failed else Verdict.PASS).value,
    )


def _check(check: Check) -> dict[str, Any]:
    passed, detail = (check, "") if isinstance(check, bool) else check
    return {"passed": passed, "detail": detail}
