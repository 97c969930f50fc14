"""Stand-ins for the programs that a shell script calls, and what they are called with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

#: pgBackRest with a folder for a repository: `archive-get` and `archive-push` by file name; a file `broken`
#: beside it has the code with which every call ends.
BACKREST = """
for word in "$@"; do
  case $word in -*) ;; *) set -- "$@" "$word" ;; esac
  shift
done
echo "pgbackrest $*" >> "$FOLDER/calls"
[ ! -e "$FOLDER/broken" ] || exit "$(cat "$FOLDER/broken")"
case $1 in
  archive-push) cp "$2" "$FOLDER/repository/${2##*/}" ;;
  repo-get) [ -e "$FOLDER/repository/$2" ] || exit 1; cat "$FOLDER/repository/$2" ;;
  archive-get) [ -e "$FOLDER/repository/$2" ] || exit 1; cp "$FOLDER/repository/$2" "$3" ;;
esac
"""


class Programs:
    """A folder of programs that come first in the PATH; each line of `calls` is a call of one."""

    def __init__(self, folder: Path, programs: Mapping[str, str]) -> None:
        self.folder = folder
        (folder / "repository").mkdir()
        (folder / "bin").mkdir()
        for name, does in programs.items():
            self.put(name, does)

    def put(self, name: str, does: str) -> None:
        """Have a program do this from now on."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """The calls so far."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, script: Path, *words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the images with these programs; it is given 10 s."""
        given = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "FOLDER": str(self.folder), **env}
        return subprocess.run(
            ["sh", str(script), *words],
            cwd=cwd,
            env=given,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
