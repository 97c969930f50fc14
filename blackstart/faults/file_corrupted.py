"""File corrupted: bytes of a file are not what was written, as with a failing disk or a bad copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._inside import shell
from blackstart.faults._kept_file import THERE, KeptFileFault
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Options, Site, Undo, fresh_id
from blackstart.model.errors import BiteError, ConfigError, InjectionError

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
#: A smaller file has no middle.
_LEAST = 64


@register
@dataclass(frozen=True)
class FileCorrupted(KeptFileFault):
    """Invert `length` bytes in the middle of the file `path` of each `target`, size and times aside.

    Where `path` is a folder, it is the largest file in it. The bytes of before are kept in the container, and
    come back with the undo. The image needs `perl` and `find`, as every Debian has them.
    """

    kind: ClassVar[str] = "file_corrupted"
    restore: ClassVar[str] = _RESTORE
    state: ClassVar[str] = "corrupted"

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
        words = {}
        for name in containers(site, self.target):
            size, _, file = shell(site.platform, name, _FIND, self.path).partition(" ")
            if not size or int(size) < _LEAST:
                raise InjectionError(f"{name} has no file of {_LEAST} bytes at {self.path}")
            words[name] = [file, f"/tmp/blackstart-{id}", str(int(size) // 2), str(self.length)]
        return self.undo_of(site, words, id)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name, words in undo.data["words"].items():
            shell(site.platform, name, _STRIKE, *words)

    def bite(self, site: Site, undo: Undo) -> str:
        """The file has other bytes there than those that were kept of it."""
        felt = []
        for name, words in undo.data["words"].items():
            if not shell(site.platform, name, THERE, words[1]) or shell(site.platform, name, _SAME, *words):
                raise BiteError(f"{name}: {words[0]} is as it was")
            felt.append(f"{name}: {self.length} bytes of {words[0]} are inverted, from {words[2]}")
        return "; ".join(felt)


@constructor
def file_corrupted(target: str, path: str, length: int = 16, **options: Unpack[Options]) -> FileCorrupted:
    """Corrupt a file: `file_corrupted("repo-1", "/var/lib/pgbackrest/backup/main/latest")`."""
    return FileCorrupted(target, path, length, **options)
