"""What a recovery consists of: its phases, and how a step of a runbook may be cut short."""

from __future__ import annotations

#: Find out what is lost; make room for it anew; bring the copy; replay what came after the copy; let clients
#: in; see that it is right. A step of a runbook may belong to one.
DETECT, PROVISION, COPY, REPLAY, OPEN, VERIFY = PHASES = (
    "detect",
    "provision",
    "copy",
    "replay",
    "open",
    "verify",
)

#: The step ended the whole shell, with a status of 0 and steps left; it took too long; the run was to stop.
EXIT, LIMIT, STOP = "exit", "limit", "stop"
