"""pgBackRest, as a restore needs it: copying a backup's files, and what the archive has."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass

from .base import DATA, STANZA, Failed
from .wanted import Wanted

_BACKREST = ("pgbackrest", f"--stanza={STANZA}")
_ERROR = re.compile(r"ERROR: \[\d+\]: (.*)")
_LABEL = re.compile(r"restore backup set ([^\s,]+)")
#: Characters of an error that are shown.
_LONGEST = 300
_TOLD = re.compile(r"(WARN|ERROR|HINT|[a-z]Error\])")


@dataclass(frozen=True)
class Copied:
    """The backup whose files were copied, and how long that took."""

    backup: str
    seconds: float


def copy(wanted: Wanted, *, delta: bool = False) -> Copied:
    """Copy the files into the data directory; with `delta`, those that differ. Raises Failed."""
    DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
    words = [*_BACKREST, "--log-level-console=info", *wanted.options, *(["--delta"] if delta else [])]
    began = time.monotonic()
    done = _run([*words, "restore"])
    if done.returncode != 0:
        print("\n".join(line[:_LONGEST] for line in done.stdout.splitlines() if _TOLD.search(line)))
        raise Failed(why(done.stdout) or _ended(done.returncode))
    label = _LABEL.search(done.stdout)
    if label is None:
        raise Failed(f"pgBackRest does not say which backup it restored: {done.stdout[-300:]!r}")
    return Copied(label[1], time.monotonic() - began)


def why(output: str) -> str:
    """The error in pgBackRest's words, in one line; empty if it tells none."""
    found = _ERROR.search(output)
    # What is decrypted by another key is any bytes.
    told = "".join(c if c.isprintable() else "?" for c in found[1])[:_LONGEST] if found else ""
    if "CryptoError" in output or "unable to load info file" in output:
        return f"the repository cannot be read: its key is another, or it is damaged ({told})"
    return told


def newest_segment(timeline: str = "") -> str:
    """The last segment that the archive has; empty if it has none. Raises Failed.

    Where `timeline` is a number, the last of that one.
    """
    done = _run([*_BACKREST, "--output=json", "info"])
    if done.returncode != 0:
        raise Failed(f"the repository does not answer: {why(done.stdout) or _ended(done.returncode)}")
    try:
        # What goes before the last line are warnings.
        [stanza] = json.loads(done.stdout.strip().splitlines()[-1])
        archive = stanza["archive"][-1] if stanza["archive"] else {"id": "", "max": ""}
        current, newest = str(archive["id"]), str(archive["max"] or "")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Failed(f"the repository's account is unusable: {done.stdout[-300:]!r}") from error
    return _newest_of(current, int(timeline)) if current and timeline.isdigit() else newest


def _newest_of(archive: str, timeline: int) -> str:
    """The last whole segment of a timeline in one of the stanza's archives."""
    # The checksum follows: what a promotion left of a segment has ".partial" in between.
    segment = f"({timeline:08X}[0-9A-F]{{16}})-"
    # By its stanza a client may read there; the path is the repository's all the same.
    listing = [*_BACKREST, "--output=text", "--recurse", f"--filter={segment}"]
    done = _run([*listing, "repo-ls", f"archive/{STANZA}/{archive}"])
    if done.returncode != 0:
        raise Failed(f"the repository does not answer: {why(done.stdout) or _ended(done.returncode)}")
    return max(re.findall(segment, done.stdout), default="")


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )


def _ended(code: int) -> str:
    if code < 0:
        return f"pgBackRest died of signal {-code}: is the key of the repository the right one?"
    return f"pgBackRest ended with {code}"
