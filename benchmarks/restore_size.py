"""How long does a restore take by the size of the database and of its WAL, beside `cp` of the same files?

    python -m benchmarks.restore_size [--sizes 100MB,400MB,1.6GB,6.4GB] [--wal 0,256MB,1GB] [--limit 20m]
    python -m benchmarks.restore_size --settings 400MB

One Postgres, the repository's host and a clean host, each with a volume on the engine's disk. The database is
filled with rows of which half is random and half is not; a full backup is taken; the clean host restores it
by the program that the drills run, in parts: copy (until the files are on the disk), replay, open (until a
write is taken). In each round `cp -a --reflink=never` of the same files on the same volume is timed too: a
file system that shares blocks would copy nothing. The order alternates, and before each the kernel is told to
forget all that it has read of these files. What the host of a virtual machine keeps of its disk in memory
stays there, for both.

WAL comes of updates at random keys after the backup. Every volume of it is restored in every round at the
smallest size, and once at the largest, where the model is compared with it: RTO = copy(size) + replay(WAL) +
open. Lines are least squares (benchmarks/fit.py); beyond the largest size all is extrapolated, and says so.

With --settings the backup and the restore are measured at one size by compression and number of processes,
and nothing else is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import sizes
from benchmarks.backups import DATA, Hosts, Settings, hosts
from benchmarks.database import Filled
from benchmarks.restore_report import Round, against_cp, markdown, pictures
from benchmarks.stats import goal, load_average, write
from blackstart.model.durations import human, seconds
from sut.recovery.settings import SIDE
from sut.settings import POSTGRES_DISK

#: A copy of the restored files, for `cp` to read, and where it copies them to.
_SOURCE, _PEER = f"{POSTGRES_DISK}/source", f"{POSTGRES_DISK}/peer"
#: A restore may take so many times what `cp` takes, at the largest size.
GOAL = 2.0
COMPRESSIONS, PROCESSES = ("zst", "lz4", "none"), (1, 2, 4)
#: Bytes on the disk for each byte of the database, at most: itself, its backup, two copies of the restored
#: files, and the one that `cp` makes.
_TIMES_DISK = 5


class Clock:
    """What is left of the time that the benchmark may take."""

    def __init__(self, limit_s: float) -> None:
        self._began, self._limit = time.monotonic(), limit_s

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def allows(self, needed_s: float = 0.0) -> bool:
        """Whether so much is left."""
        return self.spent + needed_s < self._limit

    def say(self, text: str) -> None:
        """Tell how far it is."""
        print(f"{human(self.spent):>12}  {text}", flush=True)


class Bench:
    """Measures on three hosts, and keeps what it measured."""

    def __init__(self, given: Hosts, clock: Clock) -> None:
        self._hosts, self._clock = given, clock
        self._filled = Filled(given)
        self.rounds: list[Round] = []
        self.left_out: list[str] = []

    def sizes(self, wanted: Iterable[int], volumes: tuple[int, ...], rounds: int) -> None:
        """Every size in ascending order, as far as the time allows."""
        ascending = sorted(wanted)
        last_s = 0.0
        for number, size in enumerate(ascending):
            first, last = number == 0, number == len(ascending) - 1
            # What does not grow with the size is small, so this is rather too much.
            needed = 0.0 if first else last_s * size / ascending[number - 1]
            if not self._clock.allows(needed):
                self._leave_out(f"{sizes.shown(size)} and more: it would take {human(needed)}")
                return
            last_s = self._size(size, volumes, rounds, times=rounds if first else int(last))

    def _size(self, size: int, volumes: tuple[int, ...], rounds: int, times: int) -> float:
        """One size: rounds with `cp`, then each volume of WAL `times` times; seconds without the WAL."""
        began = time.monotonic()
        self._back_up(size)
        files = self._make_source()
        self._clock.say(f"{sizes.shown(files)} of files backed up; restoring")
        for number in range(rounds):
            if number and not self._clock.allows():
                self._leave_out(f"{sizes.shown(size)}: {rounds - number} of {rounds} rounds")
                break
            self._paired(files, restore_first=number % 2 == 0)
        took = time.monotonic() - began
        self._hosts.run(SIDE, "rm", "-rf", _SOURCE, limit="5m")
        written = 0
        for volume in (v for v in volumes if v and times):
            if not self._clock.allows():
                self._leave_out(f"{sizes.shown(volume)} of WAL and more at {sizes.shown(size)}")
                break
            self._clock.say(f"writing WAL up to {sizes.shown(volume)} after the backup")
            self._filled.write_wal(volume - written)
            written = volume
            for number in range(times):
                if number and not self._clock.allows():
                    self._leave_out(f"{sizes.shown(volume)} of WAL: {times - number} of {times} rounds")
                    break
                self._keep(self._restore(files, volume))
        return took

    def _back_up(self, size: int) -> None:
        self._clock.say(f"filling the database up to {sizes.shown(size)}")
        self._filled.fill(size)
        self._clock.say("taking a full backup")
        self._hosts.backup()
        self._hosts.archive("5m")

    def _make_source(self) -> int:
        """Restore once, unmeasured, and keep the files for `cp`; how many bytes they have."""
        self._hosts.copy()
        files = self._hosts.copied_size()
        self._hosts.run(SIDE, "cp", "-a", "--reflink=never", DATA, _SOURCE, limit="30m")
        self._hosts.drop()
        return files

    def _paired(self, files: int, *, restore_first: bool) -> None:
        if restore_first:
            restored = self._restore(files, 0)
            peer_s = self._cp()
        else:
            peer_s = self._cp()
            restored = self._restore(files, 0)
        self._keep(restored, peer_s)

    def _restore(self, files: int, volume: int) -> Round:
        self._hosts.forget()
        copy_s = self._hosts.copy()
        rest = self._hosts.replay()
        self._hosts.drop()
        return Round(files, volume, rest.wal, copy_s, rest.replay_s, rest.open_s)

    def _cp(self) -> float:
        self._hosts.forget(_SOURCE)
        took = self._hosts.timed(SIDE, "cp", "-a", "--reflink=never", _SOURCE, _PEER, limit="30m")
        self._hosts.run(SIDE, "rm", "-rf", _PEER, limit="5m")
        return took

    def _keep(self, restored: Round, peer_s: float | None = None) -> None:
        kept = replace(restored, cp_s=peer_s)
        self.rounds.append(kept)
        self._clock.say(str(kept))

    def _leave_out(self, what: str) -> None:
        self.left_out.append(what)
        self._clock.say(f"left out, the time is up: {what}")


@dataclass(frozen=True)
class Setting:
    """One compression and number of processes: seconds of each restore's copy, and what the backup took."""

    compress: str
    processes: int
    copy_s: tuple[float, ...]
    backup_s: float
    backup_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.compress:4} {self.processes} processes: copy {statistics.median(self.copy_s):6.2f} s "
            f"({min(self.copy_s):.2f} to {max(self.copy_s):.2f}); backup {self.backup_s:6.2f} s, "
            f"{sizes.shown(self.backup_bytes)}"
        )


def settings(given: Hosts, clock: Clock, size: int, rounds: int) -> Iterator[Setting]:
    """Each compression with each number of processes; the latter take turns within a round."""
    Filled(given).fill(size)
    for compress in COMPRESSIONS:
        if not clock.allows():
            clock.say(f"left out, the time is up: {compress} and what comes after it")
            return
        began = time.monotonic()
        given.backup(compress)
        backup_s = time.monotonic() - began
        stored = given.repository_size()
        copies: dict[int, list[float]] = {processes: [] for processes in PROCESSES}
        for number in range(rounds):
            for processes in PROCESSES if number % 2 == 0 else PROCESSES[::-1]:
                given.forget()
                copies[processes].append(given.copy(processes))
                given.drop()
        for processes, taken in copies.items():
            found = Setting(compress, processes, tuple(taken), backup_s, stored)
            clock.say(str(found))
            yield found


def fastest(found: Iterable[Setting]) -> Setting:
    """The one whose copy's median is the least."""
    return min(found, key=lambda each: statistics.median(each.copy_s))


def report(rounds: list[Round]) -> None:
    """Print the ratios and the goal."""
    paired = [each for each in rounds if each.cp_s is not None]
    for size in sorted({each.size for each in paired}):
        here = [each for each in paired if each.size == size]
        copy, whole = against_cp(here)
        print(
            f"{sizes.shown(size):>8}: copy {copy.value:.2f} times cp ({copy.lo:.2f} to {copy.hi:.2f}), whole "
            f"restore {whole.value:.2f} times ({whole.lo:.2f} to {whole.hi:.2f}); {len(here)} rounds"
        )
    if not paired:
        return
    largest = max(each.size for each in paired)
    _, whole = against_cp([each for each in paired if each.size == largest])
    met = True if whole.hi <= GOAL else False if whole.lo > GOAL else None
    words = f"restore at most {GOAL:g} times cp at {sizes.shown(largest)} ({whole.value:.2f} times)"
    goal(words, met)


def main() -> int:
    """Print the figures and the goal; write them, a table and the pictures into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = "100MB,400MB,1.6GB,6.4GB"
    parser.add_argument("--sizes", type=sizes.parse_all, default=default, help=f"(default {default})")
    parser.add_argument("--wal", type=sizes.parse_all, default="0,256MB,1GB", help="(default 0,256MB,1GB)")
    parser.add_argument("--rounds", type=int, default=3, help="of restore and cp, at least 3 (default 3)")
    parser.add_argument("--compress", choices=COMPRESSIONS, default="zst", help="of backup and WAL (zst)")
    parser.add_argument("--processes", type=int, default=2, help="of backup and restore (default 2)")
    parser.add_argument("--settings", type=sizes.parse, metavar="SIZE", help="measure these at one size")
    parser.add_argument("--limit", type=seconds, default="20m", help="begin nothing after it (default 20m)")
    parser.add_argument("--to", type=Path, default=Path("reports/benchmarks/restore_size"), help="folder")
    options = parser.parse_args()
    if options.rounds < 3:
        parser.error("--rounds: an interval needs at least 3")
    if options.wal[0] != 0:
        parser.error("--wal: begin with 0, where `cp` is compared with")
    chosen = Settings(options.compress, options.processes)
    print(load_average())
    clock = Clock(options.limit)
    largest = options.settings or max(options.sizes)
    disk_mib = (_TIMES_DISK * largest + 4 * max(options.wal) >> 20) + 1024
    about: dict[str, object] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": asdict(chosen),
    }
    with hosts(chosen, disk_mib) as given:
        if options.settings:
            found = list(settings(given, clock, options.settings, options.rounds))
            print(f"the fastest copy: {fastest(found)}")
            about["found"] = [asdict(each) for each in found]
            write(options.to / "settings.json", json.dumps(about, indent=1) + "\n")
            return 0
        bench = Bench(given, clock)
        try:
            bench.sizes(options.sizes, options.wal, options.rounds)
        finally:
            # What was measured before something went wrong is kept.
            _keep(options.to, about, bench)
    report(bench.rounds)
    print(load_average())
    return 0


def _keep(folder: Path, about: dict[str, object], bench: Bench) -> None:
    whole = {**about, "rounds": [asdict(each) for each in bench.rounds], "left_out": bench.left_out}
    write(folder / "restore_size.json", json.dumps(whole, indent=1) + "\n")
    if bench.rounds:
        write(folder / "restore_size.md", markdown(bench.rounds, bench.left_out))
        for name, picture in pictures(bench.rounds).items():
            write(folder / name, picture)


if __name__ == "__main__":
    sys.exit(main())
