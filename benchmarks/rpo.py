"""What does the loss of the database cost, by archive_timeout, and with WAL received as it is written?

    python -m benchmarks.rpo [--modes 5s,10s,30s,stream] [--trials 10] [--limit 45m]

A client writes 20 rows a second into one Postgres, each in a transaction of its own, and notes which were
acknowledged. At a random moment of the archiving's period the container is killed with -9 and its disk is
lost; another host restores from the repository alone. Counted are the acknowledged rows that are not there,
and the age of the oldest of these: from its begin to that of the kill, as RPO is measured everywhere here.

With archiving only, the age is at most archive_timeout, a second more since Postgres counts it in whole ones,
and the push of a segment, which each trial measures beforehand by a segment of its own. That is the bound in
the picture, with the longest push of the mode's trials. With `stream` the database archives every 30 s, and
the repository's host receives WAL besides: there is no bound but the way of a packet. The modes take turns.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from benchmarks.backups import Settings, hosts
from benchmarks.chart import COLOURS, Axis, Picture, linear
from benchmarks.stats import goal, load_average, write
from blackstart.model.durations import human, seconds
from blackstart.model.errors import LoadError
from blackstart.platforms.waiting import wait_until
from sut.recovery.settings import SIDE

RATE = 20
#: Postgres looks at whole seconds of the clock.
_WHOLE_S = 1.0
#: What the restore's host answers is compared with what was acknowledged.
_WRITTEN = "SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM written"


@dataclass(frozen=True)
class Mode:
    """How WAL reaches the repository; the moment of the loss is drawn from one `period_s`."""

    name: str
    archive_timeout: str
    period_s: float
    stream: bool = False

    def bound_s(self, push_s: float) -> float | None:
        """The age above which nothing may be lost, seconds; None where archiving does not bound it."""
        return None if self.stream else seconds(self.archive_timeout) + _WHOLE_S + push_s


MODES = {
    **{timeout: Mode(timeout, timeout, seconds(timeout)) for timeout in ("5s", "10s", "30s")},
    "stream": Mode("stream", "30s", 5.0, stream=True),
}


@dataclass(frozen=True)
class Trial:
    """One loss: rows acknowledged and lost, the age of the oldest of these (s, 0 without), the moment."""

    mode: str
    acknowledged: int
    lost: int
    oldest_s: float
    phase_s: float
    push_s: float

    def __str__(self) -> str:
        return (
            f"{self.mode:6} lost {self.lost:4} of {self.acknowledged}, the oldest {self.oldest_s:.2f} s old; "
            f"push {self.push_s:.2f} s"
        )


class Writer:
    """A client that writes a numbered row every 1/RATE s, until it is stopped or refused.

    `acknowledged` has, for each row that was, when its write began: seconds of the monotonic clock.
    """

    def __init__(self, address: str) -> None:
        self.acknowledged: dict[int, float] = {}
        self._address, self._stop = address, threading.Event()
        self._ended = ""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with psycopg.connect(self._address, autocommit=True) as connection:
                self._write(connection)
        except psycopg.Error as error:
            self._ended = str(error)

    def _write(self, connection: psycopg.Connection) -> None:
        start = time.monotonic()
        for number in itertools.count():
            if self._stop.wait(max(0.0, start + number / RATE - time.monotonic())):
                return
            began = time.monotonic()
            connection.execute("INSERT INTO written (id) VALUES (%s)", (number,))
            self.acknowledged[number] = began

    def must_write(self) -> None:
        """Raise LoadError if it does not any more."""
        if not self._thread.is_alive():
            raise LoadError(f"the writer ended after {len(self.acknowledged)} rows: {self._ended}")

    def stop(self) -> None:
        """End it, if the loss of the database has not."""
        self._stop.set()
        self._thread.join(10)


def lost(acknowledged: dict[int, float], found: set[int], killed: float) -> tuple[int, float]:
    """How many acknowledged rows are not found, and the age in s of the oldest when the kill began.

    A row whose write began later than that has the age 0.
    """
    ages = [max(0.0, killed - began) for number, began in acknowledged.items() if number not in found]
    return len(ages), max(ages, default=0.0)


def trial(mode: Mode, draw: random.Random) -> Trial:
    """One loss of the database, on hosts of its own."""
    # A whole period, so that every phase is as likely; not from 0, so that it reaches past the next push.
    phase_s = mode.period_s * draw.uniform(0.5, 1.5)
    with hosts(Settings(archive_timeout=mode.archive_timeout)) as given:
        given.sql("CREATE TABLE written (id bigint NOT NULL)")
        given.backup()
        if mode.stream:
            given.receive()
        writer = Writer(given.address)
        try:
            wait_until("a second of writes", lambda: _second(writer), limit="20s", error=LoadError)
            push_s = given.archive("60s")
            at = time.monotonic() + phase_s
            _wait(at, writer)
            killed = time.monotonic()
            given.lose_database()
        finally:
            writer.stop()
        given.run(SIDE, "restore-cluster", limit="5m")
        found = {int(word) for word in given.sql(_WRITTEN, host=SIDE).split(",") if word}
    many, oldest = lost(writer.acknowledged, found, killed)
    return Trial(mode.name, len(writer.acknowledged), many, oldest, phase_s, push_s)


def _second(writer: Writer) -> str | None:
    writer.must_write()
    many = len(writer.acknowledged)
    return None if many >= RATE else f"{many} rows"


def _wait(at: float, writer: Writer) -> None:
    """Until the moment of the loss; LoadError if the writer ends before."""

    def left() -> str | None:
        writer.must_write()
        return None if time.monotonic() >= at else f"{at - time.monotonic():.1f} s to go"

    limit = max(0.0, at - time.monotonic()) + 5
    wait_until("the moment of the loss", left, limit=limit, every=0.005, error=LoadError)


# -- what it comes to --------------------------------------------------------------------------------


def markdown(trials: Sequence[Trial]) -> str:
    """A table by mode."""
    lines = [
        "# What the loss of the database costs",
        "",
        f"{RATE} writes a second; acknowledged rows that a restore from the repository alone does not have.",
        "",
        "| archive_timeout | n | rows lost: median, max | oldest, s: median, max | bound, s | above it |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for mode, here in by_mode(trials):
        rows, ages = [t.lost for t in here], [t.oldest_s for t in here]
        bound = mode.bound_s(max(t.push_s for t in here))
        above = "" if bound is None else str(sum(age > bound for age in ages))
        cells = [
            "30s, and received" if mode.stream else mode.archive_timeout,
            str(len(here)),
            f"{statistics.median(rows):g}, {max(rows)}",
            f"{statistics.median(ages):.2f}, {max(ages):.2f}",
            "none" if bound is None else f"{bound:.2f}",
            above,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def by_mode(trials: Sequence[Trial]) -> list[tuple[Mode, list[Trial]]]:
    """The modes that have trials, each with its own."""
    kept = [(mode, [t for t in trials if t.mode == name]) for name, mode in MODES.items()]
    return [(mode, here) for mode, here in kept if here]


def picture(trials: Sequence[Trial]) -> str:
    """Every trial as a point, by mode; the bounds as lines."""
    groups = by_mode(trials)
    bounds = [mode.bound_s(max(t.push_s for t in here)) for mode, here in groups]
    most = max([*(t.oldest_s for t in trials), *(b for b in bounds if b is not None)])
    ticks = tuple((n + 0.5, mode.name) for n, (mode, _) in enumerate(groups))
    x = Axis("archive_timeout; stream: 30s, and WAL received as it is written", 0.0, len(groups), ticks)
    drawn = Picture("Age of the oldest acknowledged row that was lost", x, linear("s", most))
    for number, ((_, here), bound) in enumerate(zip(groups, bounds, strict=True)):
        # Beside each other, so that equal ones show.
        points = [(number + 0.25 + 0.5 * (k + 0.5) / len(here), t.oldest_s) for k, t in enumerate(here)]
        drawn.dots(points, COLOURS[0], "" if number else "a trial")
        top = max(t.oldest_s for t in here)
        drawn.words((number + 0.5, max(top, bound or 0.0)), f"max {top:.2f} s")
        if bound is not None:
            ends = [(number + 0.15, bound), (number + 0.85, bound)]
            labelled = all(b is None for b in bounds[:number])
            drawn.curve(ends, COLOURS[1], "archive_timeout + 1 s + push" if labelled else "", dashed=True)
    return drawn.svg()


def report(trials: Sequence[Trial]) -> None:
    """Print whether each bound held."""
    for mode, here in by_mode(trials):
        bound, oldest = mode.bound_s(max(t.push_s for t in here)), max(t.oldest_s for t in here)
        if bound is not None:
            goal(f"{mode.name}: nothing lost older than {bound:.2f} s ({oldest:.2f} s)", oldest <= bound)
        else:
            print(f"{mode.name}: the oldest lost is {oldest:.2f} s old, in {len(here)} trials")


def modes(text: str) -> list[Mode]:
    """Those of a list of names, each once. Raises argparse.ArgumentTypeError."""
    names = text.split(",")
    if unknown := [name for name in names if name not in MODES]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(MODES)}")
    return [MODES[name] for name in dict.fromkeys(names)]


def main() -> int:
    """Print every trial and the goals; write them, a table and the picture into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modes", type=modes, default=",".join(MODES), help=f"of {', '.join(MODES)} (all)")
    parser.add_argument("--trials", type=int, default=10, help="of each mode (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default 1)")
    parser.add_argument("--limit", type=seconds, default="45m", help="begin no trial after it (default 45m)")
    parser.add_argument("--to", type=Path, default=Path("reports/benchmarks/rpo"), help="folder")
    options = parser.parse_args()
    print(load_average())
    began, draw = time.monotonic(), random.Random(options.seed)
    trials: list[Trial] = []
    left = [mode for _ in range(options.trials) for mode in options.modes]
    try:
        while left and time.monotonic() - began < options.limit:
            trials.append(trial(left[0], draw))
            print(f"{human(time.monotonic() - began):>12}  {trials[-1]}", flush=True)
            left.pop(0)
    finally:
        # What was measured before something went wrong is kept.
        _keep(options.to, options.seed, trials, len(left))
    if left:
        print(f"left out, the time is up: {len(left)} trials")
    report(trials)
    print(load_average())
    return 0


def _keep(folder: Path, seed: int, trials: Sequence[Trial], left: int) -> None:
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "left_out": left,
        "trials": [asdict(each) for each in trials],
    }
    write(folder / "rpo.json", json.dumps(about, indent=1) + "\n")
    if trials:
        write(folder / "rpo.md", markdown(trials))
        write(folder / "rpo.svg", picture(trials))


if __name__ == "__main__":
    sys.exit(main())
