"""File removed: a file is gone, as by a clean-up that took too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._inside import by_hand, shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.modes import Mode

# The shell itself matches the pattern; one that matches nothing stays as it is.
_FIND = 'IFS=; for file in $1; do [ ! -f "$file" ] || echo "$file"; done'
_REMOVE = 'mv "$1" "$2"'
_RESTORE = '[ ! -e "$2" ] || mv "$2" "$1"'
_THERE = '[ ! -e "$1" ] || echo there'


@register
@dataclass(frozen=True)
class FileRemoved(Fault):
    """Take away the file of each `target` that the shell pattern `path` matches, which must be one alone.

    It is kept beside its place under a hidden name, and comes back with the undo; what somebody put in its
    place meanwhile is overwritten then.
    """

    kind: ClassVar[str] = "file_removed"
    mode: ClassVar[Mode] = Mode.DATA
    capabilities: ClassVar[tuple[str, ...]] = ("exec", "kill")
    expires_in_place: ClassVar[bool] = True
    persistent: ClassVar[bool] = True

    target: str
    path: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path.startswith("/") or self.path.endswith("/"):
            raise ConfigError(f"path={self.path!r}: write the absolute path of a file, or a pattern of one")

    def plan(self, site: Site) -> Undo:
        """Finds the file; InjectionError unless the pattern matches just one."""
        id = fresh_id()
        names = containers(site, self.target)
        words = {}
        for name in names:
            found = shell(site.platform, name, _FIND, self.path).splitlines()
            if len(found) != 1:
                told = ", ".join(found[:3]) or "no file"
                raise InjectionError(f"{name}: {self.path} must match one file; it matches {told}")
            folder, _, file = found[0].rpartition("/")
            words[name] = [found[0], f"{folder}/.{file}.blackstart-{id}"]
        expiry = {name: ["sh", "-c", _RESTORE, "sh", *each] for name, each in words.items()}
        return Undo(self.kind, site.run_id, names, {"words": words}, by_hand(expiry), expiry, id)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name, words in undo.data["words"].items():
            shell(site.platform, name, _REMOVE, *words)

    def bite(self, site: Site, undo: Undo) -> str:
        """There is no such file."""
        for name, words in undo.data["words"].items():
            if shell(site.platform, name, _THERE, words[0]):
                raise BiteError(f"{name}: {words[0]} is there")
        return "; ".join(f"{name} has no {words[0]}" for name, words in undo.data["words"].items())

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Put the file back in its place; start a container that is down first."""
        for name, words in undo.data["words"].items():
            platform.start(name)
            shell(platform, name, _RESTORE, *words)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """Nothing is kept any more."""
        for name, words in undo.data["words"].items():
            try:
                if shell(platform, name, _THERE, words[1]):
                    return f"{name}: {words[0]} is gone"
            except PlatformError as error:
                return str(error)
        return None


@constructor
def file_removed(target: str, path: str, **options: Unpack[Options]) -> FileRemoved:
    """Remove a file: `file_removed("repo-1", "/var/lib/pgbackrest/archive/main/*/*/*00000007-*")`."""
    return FileRemoved(target, path, **options)
