"""What a placebo, which injects nothing, has in place of an injection."""

from __future__ import annotations

from blackstart.faults import Fault


class NotInjected:
    """What a placebo has in place of an injection."""

    bite = "not injected"
    in_force = expired = given_up = False

    def __init__(self, fault: Fault) -> None:
        self.fault = fault

    def undo(self) -> None:
        """Nothing to undo."""

    def __enter__(self) -> NotInjected:
        return self

    def __exit__(self, *_: object) -> None:
        return None
