"""The phases into which a recovery is split, in their order; a step of a runbook may belong to one."""

from __future__ import annotations

#: Find out what is lost; make room for it anew; bring the copy; replay what came after the copy; let clients
#: in; see that it is right.
DETECT, PROVISION, COPY, REPLAY, OPEN, VERIFY = PHASES = (
    "detect",
    "provision",
    "copy",
    "replay",
    "open",
    "verify",
)
