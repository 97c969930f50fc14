"""File replaced: a file of a service is another one, as after a deployment that was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from blackstart.faults._containers import containers
from blackstart.faults._inside import by_hand, shell
from blackstart.faults._registry import constructor, register
from blackstart.faults.base import Fault, Options, Platform, Site, Undo, fresh_id
from blackstart.model.errors import BiteError, ConfigError, InjectionError, PlatformError
from blackstart.model.modes import Mode

# Each file is there as a whole or not at all, and the new one belongs to whom the old one did.
_REPLACE = """set -e
cp -p -- "$1" "$3.new" && mv -- "$3.new" "$3"
cp -- "$2" "$1.new" && chown --reference="$1" -- "$1.new" && chmod --reference="$1" -- "$1.new"
mv -- "$1.new" "$1"
"""
_RESTORE = """[ ! -e "$2" ] || mv -- "$2" "$1" || exit
rm -f -- "$1.new" "$2.new"; [ -z "$3" ] || sh -c "$3" >/dev/null
"""
_THERE = 'for file; do [ -f "$file" ] || { echo "$file"; exit; }; done'
_SAME = '[ "$(sha256sum <"$1")" != "$(sha256sum <"$2")" ] || echo same'
_KEPT = '[ ! -e "$1" ] || echo kept'


@register
@dataclass(frozen=True)
class FileReplaced(Fault):
    """Put the content of the file `by` of each `target` into its file `path`, then run the command `then`.

    All three are inside the service's container; `then` is for its shell, and tells a service that looks at
    its files only when it is told. What the content is, no journal and no report learns.
    """

    kind: ClassVar[str] = "file_replaced"
    mode: ClassVar[Mode] = Mode.WRONG
    capabilities: ClassVar[tuple[str, ...]] = ("exec", "kill")
    expires_in_place: ClassVar[bool] = True
    persistent: ClassVar[bool] = True

    target: str
    path: str
    by: str
    then: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, file in (("path", self.path), ("by", self.by)):
            if not file.startswith("/") or file.endswith("/"):
                raise ConfigError(f"{name}={file!r}: write the absolute path of a file in the container")
        if self.path == self.by:
            raise ConfigError(f"a file is not replaced by itself: {self.path}")

    def plan(self, site: Site) -> Undo:
        """InjectionError if a target lacks one of the files."""
        id = fresh_id()
        names = containers(site, self.target)
        for name in names:
            if missing := shell(site.platform, name, _THERE, self.path, self.by):
                raise InjectionError(f"{name} has no file {missing}")
        kept = f"{self.path}.blackstart-{id}"
        restore = ["sh", "-c", _RESTORE, "sh", self.path, kept, self.then]
        expiry = dict.fromkeys(names, restore)
        data = {"path": self.path, "kept": kept, "then": self.then}
        return Undo(self.kind, site.run_id, names, data, by_hand(expiry), expiry, id)

    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""
        for name in undo.targets:
            shell(site.platform, name, _REPLACE, self.path, self.by, undo.data["kept"])
            if self.then:
                shell(site.platform, name, self.then)

    def bite(self, site: Site, undo: Undo) -> str:
        """The file holds what the other one does; that the service uses it is for the drill to see."""
        for name in undo.targets:
            if shell(site.platform, name, _SAME, self.path, self.by) != "same":
                raise BiteError(f"{name}: {self.path} is not what {self.by} is")
        return f"{', '.join(undo.targets)}: {self.path} is what {self.by} is"

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Put the file of before back, and run the command again; start a container that is down first."""
        for name in undo.targets:
            platform.start(name)
            shell(platform, name, _RESTORE, undo.data["path"], undo.data["kept"], undo.data["then"])

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """The copy of the file of before is in its place again."""
        for name in undo.targets:
            try:
                if shell(platform, name, _KEPT, undo.data["kept"]):
                    return f"{name}: {undo.data['path']} is not the one of before"
            except PlatformError as error:
                return str(error)
        return None


@constructor
def file_replaced(
    target: str, path: str, by: str, then: str = "", **options: Unpack[Options]
) -> FileReplaced:
    """Deploy a wrong file: `file_replaced("web-1", path="/etc/web.conf", by="/etc/web.conf.wrong")`."""
    return FileReplaced(target, path, by, then, **options)
