"""Schedules: when which fault is injected and undone, as data to compose, store and play again."""

from blackstart.schedule.actions import inject, parallel, ramp, repeat, sequence, swizzle, undo, wait
from blackstart.schedule.base import ACTIONS, Action, Deed, Stage, Step
from blackstart.schedule.replay import from_run, read_run
from blackstart.schedule.schedule import Schedule

__all__ = [
    "ACTIONS",
    "Action",
    "Deed",
    "Schedule",
    "Stage",
    "Step",
    "from_run",
    "inject",
    "parallel",
    "ramp",
    "read_run",
    "repeat",
    "sequence",
    "swizzle",
    "undo",
    "wait",
]
