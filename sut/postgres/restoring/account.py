"""The account of a restore, for whoever asks afterwards: what was restored, from what, up to where."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .base import RUN, Failed, place
from .ended import End
from .repository import Copied
from .wanted import Wanted

_LAST = RUN / "last.json"


@dataclass(frozen=True)
class Account:
    """See Restored in sut/recovery/accounts.py."""

    backup: str
    type: str
    target: str
    stopped: str
    lsn: str
    timeline: int
    parent: int
    copied_s: float
    replayed_s: float
    opened_s: float

    @classmethod
    def of(
        cls, wanted: Wanted, copied: Copied, end: End, timeline: int, replayed_s: float, opened_s: float
    ) -> Account:
        """From the parts of a restore."""
        return cls(
            copied.backup,
            wanted.type,
            wanted.target,
            end.reason,
            end.lsn,
            timeline,
            end.parent,
            round(copied.seconds, 3),
            round(replayed_s, 3),
            round(opened_s, 3),
        )

    def keep(self) -> None:
        """Leave it for others to read."""
        place(_LAST, json.dumps(asdict(self)) + "\n")

    def __str__(self) -> str:
        took = f"copied in {self.copied_s:.1f} s, replayed in {self.replayed_s:.1f} s"
        return (
            f"restored from {self.backup}, up to {self.lsn} ({self.stopped}), "
            f"timeline {self.timeline} after {self.parent}; {took}"
        )


def last() -> Account:
    """The account of the last restore here. Raises Failed."""
    try:
        return Account(**json.loads(_LAST.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise Failed("nothing was restored here") from error


def forget() -> None:
    """There is no restore here any more."""
    _LAST.unlink(missing_ok=True)


# -- between the steps of one restore ----------------------------------------------------------------

_UNDER_WAY = RUN / "under-way.json"


@dataclass(frozen=True)
class UnderWay:
    """A restore whose files are copied and whose WAL is to be replayed, or was: then it is `ended`."""

    wanted: Wanted
    copied: Copied
    ended: Account | None = None

    def keep(self) -> None:
        """Leave it for the next step."""
        place(_UNDER_WAY, json.dumps(asdict(self)) + "\n")


def under_way() -> UnderWay:
    """The restore whose files were copied last. Raises Failed."""
    try:
        told = json.loads(_UNDER_WAY.read_text())
        ended = Account(**told["ended"]) if told["ended"] else None
        return UnderWay(Wanted(**told["wanted"]), Copied(**told["copied"]), ended)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Failed("no files were copied here: run the step `copy` first") from error


def is_under_way() -> bool:
    """Whether what is in the data directory is what a restore has left so far."""
    return _UNDER_WAY.exists()


def no_longer_under_way() -> None:
    """The next step would have nothing to go on with."""
    _UNDER_WAY.unlink(missing_ok=True)


# -- whose the side cluster is -----------------------------------------------------------------------

_VERIFICATION = RUN / "verification"


def note_verification(of_one: bool) -> None:
    """Note whether what comes into the data directory now is a verification's, which may drop it."""
    if of_one:
        _VERIFICATION.touch()
    else:
        _VERIFICATION.unlink(missing_ok=True)


def is_verification() -> bool:
    """Whether what is in the data directory is what a verification has left."""
    return _VERIFICATION.exists()
