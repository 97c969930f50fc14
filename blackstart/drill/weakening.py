"""Weakening a stack for a negative control, and making sure that it does not stay weak.

Which variant is in force is noted on disk before it is applied: the next trial reverts what a process that
was killed left behind.
"""

from __future__ import annotations

from pathlib import Path

from blackstart.injection.state import state_dir
from blackstart.model.stack import Variant
from blackstart.stack.running import RunningStack


def weaken(running: RunningStack, name: str) -> Variant:
    """Apply the variant; ConfigError names the known ones."""
    variant: Variant = running.stack.variant(name)
    _note(running).write_text(name)
    if variant.apply is not None:
        variant.apply(running)
    return variant


def strengthen(running: RunningStack) -> str | None:
    """Revert the variant in force, if any; returns its name. Idempotent."""
    note = _note(running)
    if not note.exists():
        return None
    name = note.read_text()
    variant: Variant = running.stack.variant(name)
    if variant.revert is not None:
        variant.revert(running)
    note.unlink()
    return name


def _note(running: RunningStack) -> Path:
    return state_dir(running.run_id, create=True) / "weakened"
