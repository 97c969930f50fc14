"""File corrupted: bytes of a file are not what was written, as with a failing disk or a bad copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._inside import by_hand, shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.modes import Mode

#: The file, or the largest of a folder, behind links too: its size and its name.
_FIND = "find -L \"$1\" -type f -printf '%s %p\\n' 2>/dev/null | sort -n | tail -n 1"
# $1 is the file, $2 where its own bytes are kept, $3 the offset, $4 how many.
_STRIKE = r"""
umask 077
dd if="$1" of="$2.new" bs=1 skip="$3" count="$4" 2>/dev/null && mv "$2.new" "$2" || exit
perl -0777 -pe '$_ = ~$_' "$2" | dd of="$1" bs=1 seek="$3" conv=notrunc 2>/dev/null
"""
_RESTORE = '[ ! -e "$2" ] || { dd if="$2" of="$1" bs=1 seek="$3" conv=notrunc 2>/dev/null && rm "$2"; }'
_SAME = 'dd if="$1" bs=1 skip="$3" count="$4" 2>/dev/null | cmp -s - "$2" && echo same; true'
_KEPT = '[ ! -e "$1" ] || echo kept'
#: A smaller file has no middle.
_LEAST = 64


@register
@dataclass(frozen=True)
class FileCorrupted(Fault):
    """Invert `length` bytes in the middle of the file `path` of each `target`, size and times aside.

    Where `path` is a folder, it is the largest file in it. The bytes of before are kept in the container, and
    come back with the undo. The image needs `perl` and `find`, as every Debian has them.
    """

    kind: ClassVar[str] = "file_corrupted"
    mode: ClassVar[Mode] = Mode.DATA
    capabilities: ClassVar[tuple[str, ...]] = ("exec", "kill")
    expires_in_place: ClassVar[bool] = True
    persistent: ClassVar[bool] = True

    target: str
    path: str
    length: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path.startswith("/"):
            raise ConfigError(f"path={self.path!r}: write the absolute path of a file or folder")
        if not 1 <= self.length <= _LEAST // 2:
            raise ConfigError(f"length={self.length}: valid are 1 to {_LEAST // 2} bytes")

    def plan(self, site: Site) -> Undo:
        """Finds the file; InjectionError if there is none, or it is too small to have a middle."""
        id = fresh_id()
        names = containers(site, self.target)
        words = {}
        for name in names:
            size, _, file = shell(site.platform, name, _FIND, self.path).partition(" ")
            if not size or int(size) < _LEAST:
                raise InjectionError(f"{name} has no file of {_LEAST} bytes at {self.path}")
            words[name] = [file, f"/tmp/blackstart-{id}", str(int(size) // 2), str(self.length)]
        expiry = {name: ["sh", "-c", _RESTORE, "sh", *each] for name, each in words.items()}
        return Undo(self.kind, site.run_id, names, {"words": words}, by_hand(expiry), expiry, id)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name, words in undo.data["words"].items():
            shell(site.platform, name, _STRIKE, *words)

    def bite(self, site: Site, undo: Undo) -> str:
        """The file has other bytes there than those that were kept of it."""
        felt = []
        for name, words in undo.data["words"].items():
            if not shell(site.platform, name, _KEPT, words[1]) or shell(site.platform, name, _SAME, *words):
                raise BiteError(f"{name}: {words[0]} is as it was")
            felt.append(f"{name}: {self.length} bytes of {words[0]} are inverted, from {words[2]}")
        return "; ".join(felt)

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Put the bytes of before back; start a container that is down first."""
        for name, words in undo.data["words"].items():
            platform.start(name)
            shell(platform, name, _RESTORE, *words)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """Nothing is kept any more."""
        for name, words in undo.data["words"].items():
            try:
                if shell(platform, name, _KEPT, words[1]):
                    return f"{name}: {words[0]} is corrupted"
            except PlatformError as error:
                return str(error)
        return None


@constructor
def file_corrupted(target: str, path: str, length: int = 16, **options: Unpack[Options]) -> FileCorrupted:
    """Corrupt a file: `file_corrupted("repo-1", "/var/lib/pgbackrest/backup/main/latest")`."""
    return FileCorrupted(target, path, length, **options)
