"""What the faults share that change a file in place and keep what it was in the container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from blackstart.faults._inside import by_hand, shell
from blackstart.faults.base import Fault, Platform, Site, Undo
from blackstart.model.errors import PlatformError
from blackstart.model.modes import Mode

#: Of the path $1.
THERE = '[ ! -e "$1" ] || echo there'


@dataclass(frozen=True)
class KeptFileFault(Fault):
    """The undo's data are `words` by container: first the file, then where what it was is kept."""

    mode: ClassVar[Mode] = Mode.DATA
    capabilities: ClassVar[tuple[str, ...]] = ("exec", "kill")
    expires_in_place: ClassVar[bool] = True
    persistent: ClassVar[bool] = True
    #: A shell script that puts back what is kept, if anything is; its arguments are the words.
    restore: ClassVar[str]
    #: What the file is while the fault is in force.
    state: ClassVar[str]

    def undo_of(self, site: Site, words: Mapping[str, list[str]], id: str) -> Undo:
        """The undo for these containers."""
        expiry = {name: ["sh", "-c", self.restore, "sh", *each] for name, each in words.items()}
        return Undo(self.kind, site.run_id, tuple(words), {"words": words}, by_hand(expiry), expiry, id)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Put back what is kept; start a container that is down first."""
        for name, words in undo.data["words"].items():
            platform.start(name)
            shell(platform, name, cls.restore, *words)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """Nothing is kept any more."""
        for name, words in undo.data["words"].items():
            try:
                if shell(platform, name, THERE, words[1]):
                    return f"{name}: {words[0]} is {cls.state}"
            except PlatformError as error:
                return str(error)
        return None
