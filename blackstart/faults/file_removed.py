"""File removed: a file is gone, as by a clean-up that took too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._inside import shell
from blackstart.faults._kept_file import THERE, KeptFileFault
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo, fresh_id
from blackstart.model.errors import BiteError, ConfigError, InjectionError

# The shell itself matches the pattern; one that matches nothing stays as it is.
_FIND = 'IFS=; for file in $1; do [ ! -f "$file" ] || echo "$file"; done'
_REMOVE = 'mv "$1" "$2"'
_RESTORE = '[ ! -e "$2" ] || mv "$2" "$1"'


@register
@dataclass(frozen=True)
class FileRemoved(KeptFileFault):
    """Take away the file of each `target` that the shell pattern `path` matches, which must be one alone.

    It is kept beside its place under a hidden name, and comes back with the undo; what somebody put in its
    place meanwhile is overwritten then.
    """

    kind: ClassVar[str] = "file_removed"
    restore: ClassVar[str] = _RESTORE
    state: ClassVar[str] = "gone"

    target: str
    path: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path.startswith("/") or self.path.endswith("/"):
            raise ConfigError(f"path={self.path!r}: write the absolute path of a file, or a pattern of one")

    def plan(self, site: Site) -> Undo:
        """Finds the file; InjectionError unless the pattern matches just one."""
        id = fresh_id()
        words = {}
        for name in containers(site, self.target):
            found = shell(site.platform, name, _FIND, self.path).splitlines()
            if len(found) != 1:
                told = ", ".join(found[:3]) or "no file"
                raise InjectionError(f"{name}: {self.path} must match one file; it matches {told}")
            folder, _, file = found[0].rpartition("/")
            words[name] = [found[0], f"{folder}/.{file}.blackstart-{id}"]
        return self.undo_of(site, words, id)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name, words in undo.data["words"].items():
            shell(site.platform, name, _REMOVE, *words)

    def bite(self, site: Site, undo: Undo) -> str:
        """There is no such file."""
        for name, words in undo.data["words"].items():
            if shell(site.platform, name, THERE, words[0]):
                raise BiteError(f"{name}: {words[0]} is there")
        return "; ".join(f"{name} has no {words[0]}" for name, words in undo.data["words"].items())


@constructor
def file_removed(target: str, path: str, **options: Unpack[Options]) -> FileRemoved:
    """Remove a file: `file_removed("repo-1", "/var/lib/pgbackrest/archive/main/*/*/*00000007-*")`."""
    return FileRemoved(target, path, **options)
