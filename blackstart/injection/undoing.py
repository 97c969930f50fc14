"""Undoing a fault from its record: try, look, try harder, look again; else say what a person must do."""

from __future__ import annotations

import threading
import time

from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_fixed
from tenacity.nap import sleep_using_event

from blackstart.faults import REGISTRY, Platform, Undo, fault_type
from blackstart.injection.expiry import disarm
from blackstart.model.errors import BlackstartError, ConfigError, HarnessError, UndoError
from blackstart.platforms.waiting import wait_until


def goes_first(newer: Undo, older: Undo) -> bool:
    """Whether `newer` must be undone before `older` can be, for it holds down where that is undone, say."""
    kind = REGISTRY.get(newer.kind)
    if kind is None or not {*newer.targets} & {*older.targets, *older.expiry}:
        return False
    return kind.holds_down or (kind.persistent and newer.kind == older.kind)


def undo_fully(undo: Undo, platform: Platform, limit_s: float = 60.0, grace_s: float | None = None) -> None:
    """Undo and see that it is undone, within about `limit_s` seconds in all.

    After `grace_s` (by default the fault's own) without success the fault's `escalate` is tried.
    Raises UndoError with what was last seen and the manual command. Idempotent.
    """
    deadline = time.monotonic() + limit_s
    kind = fault_type(undo.kind)
    grace_s = kind.grace if grace_s is None else grace_s
    steps = (
        (lambda: kind.undo(undo, platform), min(grace_s, limit_s)),
        (lambda: kind.escalate(undo, platform), max(0.0, deadline - time.monotonic() - grace_s)),
    )
    problem = "nothing"
    for act, patience_s in steps:
        until = time.monotonic() + patience_s
        try:
            retrying = Retrying(
                retry=retry_if_exception(
                    lambda e: isinstance(e, HarnessError) and not isinstance(e, ConfigError)
                ),
                stop=stop_after_delay(patience_s),
                wait=wait_fixed(0.2),
                sleep=sleep_using_event(threading.Event()),
            )
            retrying(act)
            wait_until(
                f"{undo.kind} of {', '.join(undo.targets)} undone",
                lambda: kind.undone(undo, platform),
                limit=max(0.0, until - time.monotonic()),
                error=UndoError,
            )
            disarm(undo, platform)
            return
        except RetryError as error:
            problem = str(error.last_attempt.exception())
        except BlackstartError as error:
            problem = str(error)
    raise UndoError(f"{undo.kind} of {', '.join(undo.targets)} is NOT undone: {problem}", undo.manual)
