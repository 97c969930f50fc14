"""What the service answers when it cannot answer."""

from __future__ import annotations

from .usage import NOTHING, Usage

BUSY = "another turn of this session is being answered"
SPENT = "this conversation has used up its budget; start a new one"


class Refusal(Exception):
    """An HTTP error with a reason that is safe to show.

    `not_applied` is set only where it is certain that nothing was and nothing will be applied: a client
    may then count the operation as failed instead of indeterminate. `usage` is what models were asked in
    vain, for as long as it is on nobody's bill.
    """

    usage: Usage = NOTHING

    def __init__(
        self, status: int, reason: str, *, retry_after: int | None = None, not_applied: bool = False
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.not_applied = not_applied

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that go with the refusal."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.not_applied:
            headers["X-Not-Applied"] = "true"
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


class ModelsUnavailable(Exception):
    """No provider gave a usable answer; one may be asked again after `retry_after` seconds.

    `usage` as in Refusal.
    """

    usage: Usage = NOTHING

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class NotAsked(Exception):
    """A dependency was not called, by a limit of ours: that says nothing about the dependency."""


class CutShort(NotAsked):
    """It was called, but could not take its time, since the caller had less: that says nothing either."""


class Broken(Exception):
    """The connection of a turn broke, or its server became read-only: the turn may be tried once more."""
