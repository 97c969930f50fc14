"""What the restores come to: lines through them, a table, two pictures. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks import sizes
from benchmarks.chart import COLOURS, Picture, Point, decades, linear
from benchmarks.fit import Interval, Line, line, ratio
from benchmarks.stats import Mean
from blackstart.model.durations import human

#: Up to here everything is extrapolated.
FAR = 1_000_000_000_000
_STEPS = 60


@dataclass(frozen=True)
class Round:
    """One restore: bytes of its files; bytes of WAL as asked for and as replayed; seconds of its parts.

    `cp_s` is what `cp` took for the same files in the same round, where it was asked.
    """

    size: int
    volume: int
    wal: int
    copy_s: float
    replay_s: float
    open_s: float
    cp_s: float | None = None

    @property
    def total_s(self) -> float:
        """The whole restore: what it adds to an RTO."""
        return self.copy_s + self.replay_s + self.open_s

    def __str__(self) -> str:
        peer = "" if self.cp_s is None else f"; cp {self.cp_s:.2f} s"
        return (
            f"{sizes.shown(self.size)}, {sizes.shown(self.wal)} of WAL: copy {self.copy_s:.2f} s, "
            f"replay {self.replay_s:.2f} s, open {self.open_s:.2f} s{peer}"
        )


@dataclass(frozen=True)
class Model:
    """RTO = copy(size) + recover(WAL), which is replay and open together; `cp` by size, `replay` by WAL.

    Opening is no constant: it writes what replay has changed in memory.
    """

    copy: Line
    cp: Line
    replay: Line
    recover: Line

    def rto(self, size: float, wal: float) -> Mean:
        """Seconds; the margins of both lines are added up, so it is rather too wide."""
        copy, recover = self.copy.at(size), self.recover.at(wal)
        return Mean(copy.value + recover.value, copy.margin + recover.margin)


def model(rounds: Sequence[Round]) -> Model:
    """Lines through the rounds; ValueError where these are too few, or all of one size or volume."""
    return Model(
        copy=line((each.size, each.copy_s) for each in rounds),
        cp=line((each.size, each.cp_s) for each in rounds if each.cp_s is not None),
        replay=line((each.wal, each.replay_s) for each in rounds),
        recover=line((each.wal, each.replay_s + each.open_s) for each in rounds),
    )


def against_cp(rounds: Iterable[Round]) -> tuple[Interval, Interval]:
    """How many times what `cp` takes the copy takes, and the whole restore, pair by pair.

    Rounds without `cp` do not count; ValueError without any.
    """
    given = [(each, each.cp_s) for each in rounds if each.cp_s is not None]
    return (
        ratio([(each.copy_s, peer_s) for each, peer_s in given]),
        ratio([(each.total_s, peer_s) for each, peer_s in given]),
    )


# -- the table ---------------------------------------------------------------------------------------


def markdown(rounds: Sequence[Round], left_out: Sequence[str]) -> str:
    """Medians by size and WAL, the fitted rates, and what they say of 1 TB."""
    lines = [
        "# Restores by size and WAL",
        "",
        "Medians, s. RTO is copy, replay and open together, of an operator who begins at once.",
        "",
        "| files | WAL replayed | n | copy | replay | open | RTO | cp | copy / cp (95 %) | RTO / cp (95 %) |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_row(group) for group in _groups(rounds)),
        "",
    ]
    try:
        fitted = model(rounds)
    except ValueError as error:
        lines += [f"No lines: {error}.", ""]
    else:
        lines += [*_rates(fitted), "", *_far(fitted, rounds), "", *_checked(fitted, rounds)]
    lines += [f"- Left out, the time was up: {what}." for what in left_out]
    return "\n".join(lines).rstrip() + "\n"


def _groups(rounds: Sequence[Round]) -> list[list[Round]]:
    keys = sorted({(each.size, each.volume) for each in rounds})
    return [[each for each in rounds if (each.size, each.volume) == key] for key in keys]


def _row(group: Sequence[Round]) -> str:
    def middle(values: Iterable[float]) -> str:
        return f"{statistics.median(values):.2f}"

    peers = [each.cp_s for each in group if each.cp_s is not None]
    against = [_interval(each) for each in against_cp(group)] if peers else ["", ""]
    cells = [
        sizes.shown(group[0].size),
        sizes.shown(statistics.median(each.wal for each in group)),
        str(len(group)),
        middle(each.copy_s for each in group),
        middle(each.replay_s for each in group),
        middle(each.open_s for each in group),
        middle(each.total_s for each in group),
        middle(peers) if peers else "",
        *against,
    ]
    return f"| {' | '.join(cells)} |"


def _interval(found: Interval) -> str:
    if math.isinf(found.hi):
        return f"{found.value:.2f} (of one)"
    return f"{found.value:.2f} ({found.lo:.2f} to {found.hi:.2f})"


def _rates(fitted: Model) -> list[str]:
    named = {
        "copy": fitted.copy,
        "cp": fitted.cp,
        "replay": fitted.replay,
        "replay and open": fitted.recover,
    }
    return [
        "| fitted | MB/s (95 %) | and first, s (95 %) | n |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {name} | {_rate(each.rate)} | {each.at(0)} | {each.points} |" for name, each in named.items()),
    ]


def _rate(rate: Interval) -> str:
    if rate.value == 0:
        return "does not grow with the size"
    above = "any" if math.isinf(rate.hi) else f"{rate.hi / 1e6:.0f}"
    return f"{rate.value / 1e6:.0f} ({rate.lo / 1e6:.0f} to {above})"


def _far(fitted: Model, rounds: Sequence[Round]) -> list[str]:
    reach = sizes.shown(fitted.copy.reach)
    found = [
        f"- *Extrapolated* from at most {reach} to {sizes.shown(FAR)}, with {sizes.shown(volume)} of WAL: "
        f"{_span(fitted.rto(FAR, wal))}."
        for volume, wal in _volumes(rounds).items()
    ]
    smallest = sizes.shown(min(each.size for each in rounds))
    found.append(
        f"- The margins are of the lines alone. Replay was measured mostly at {smallest} of files, which "
        "memory holds; where it does not, each page is read first, and replay takes longer."
    )
    return [*found, f"- *Extrapolated*, cp of {sizes.shown(FAR)}: {_span(fitted.cp.at(FAR))}."]


def _span(found: Mean) -> str:
    ends = (max(0.0, found.value - found.margin), found.value + found.margin)
    return f"{human(max(0.0, found.value))} ({human(ends[0])} to {human(ends[1])})"


def _checked(fitted: Model, rounds: Sequence[Round]) -> list[str]:
    """What the model says of the largest size with WAL, which is no more than one restore each."""
    largest = max(each.size for each in rounds)
    return [
        f"- {sizes.shown(each.size)} with {sizes.shown(each.wal)} of WAL: measured {human(each.total_s)}, "
        f"the model says {_span(fitted.rto(each.size, each.wal))}."
        for each in rounds
        if each.size == largest and each.volume
    ]


def _volumes(rounds: Sequence[Round]) -> dict[int, float]:
    """By volume as asked for, the median of what was replayed."""
    asked = sorted({each.volume for each in rounds})
    return {v: statistics.median(each.wal for each in rounds if each.volume == v) for v in asked}


# -- the pictures ------------------------------------------------------------------------------------


def pictures(rounds: Sequence[Round]) -> dict[str, str]:
    """By file name: RTO against size up to 1 TB, and replay against WAL. None of too few rounds."""
    try:
        fitted = model(rounds)
    except ValueError:
        return {}
    return {"restore_size.svg": _by_size(fitted, rounds), "replay.svg": _by_wal(fitted, rounds)}


def _by_size(fitted: Model, rounds: Sequence[Round]) -> str:
    smallest, reach = min(each.size for each in rounds), fitted.copy.reach
    volumes = _volumes(rounds)
    most = max(fitted.rto(FAR, wal).value for wal in volumes.values())
    least = min(min(each.total_s, each.cp_s or each.total_s) for each in rounds)
    x = decades("files of the database", smallest, FAR, sizes.shown)
    y = decades("restore, s (both axes are logarithmic)", least, max(most, least))
    picture = Picture("Restore by size of the database: measured, and extrapolated to 1 TB", x, y)
    peer = COLOURS[-1]
    inside, beyond = _between(smallest, reach), _between(reach, FAR)
    for number, (volume, wal) in enumerate(volumes.items()):
        colour = COLOURS[number % (len(COLOURS) - 1)]
        here = [(each.size, each.total_s) for each in rounds if each.volume == volume]
        picture.dots([(float(size), took) for size, took in here], colour, f"{sizes.shown(volume)} of WAL")
        picture.curve([(size, fitted.rto(size, wal).value) for size in inside], colour)
        picture.curve([(size, fitted.rto(size, wal).value) for size in beyond], colour, dashed=True)
        if number == 0:
            ends = [(size, fitted.rto(size, wal)) for size in (*inside, *beyond)]
            lower: list[Point] = [(size, found.value - found.margin) for size, found in ends]
            upper: list[Point] = [(size, found.value + found.margin) for size, found in ends]
            picture.band(lower, upper, colour)
            told = f"1 TB: {human(fitted.rto(FAR, wal).value)}, extrapolated"
            picture.words((FAR / 20, fitted.rto(FAR / 2, wal).value), told)
    peers = [(float(each.size), each.cp_s) for each in rounds if each.cp_s is not None]
    picture.dots(peers, peer, "cp of the same files", "square")
    picture.curve([(size, fitted.cp.at(size).value) for size in inside], peer, "line fitted")
    picture.curve([(size, fitted.cp.at(size).value) for size in beyond], peer, "extrapolated", dashed=True)
    return picture.svg()


def _by_wal(fitted: Model, rounds: Sequence[Round]) -> str:
    reach = fitted.replay.reach
    x = linear("WAL replayed", reach, sizes.shown)
    y = linear("replay, s", max(each.replay_s for each in rounds) * 1.1)
    picture = Picture("Replay by volume of WAL", x, y)
    for number, size in enumerate(sorted({each.size for each in rounds})):
        here = [(float(each.wal), each.replay_s) for each in rounds if each.size == size]
        picture.dots(here, COLOURS[number % len(COLOURS)], f"{sizes.shown(size)} of files")
    steps = [reach * n / _STEPS for n in range(_STEPS + 1)]
    found = [(wal, fitted.replay.at(wal)) for wal in steps]
    picture.curve([(wal, each.value) for wal, each in found], COLOURS[0], "line fitted, 95 %")
    picture.band(
        [(wal, each.value - each.margin) for wal, each in found],
        [(wal, each.value + each.margin) for wal, each in found],
        COLOURS[0],
    )
    return picture.svg()


def _between(low: float, high: float) -> list[float]:
    """Steps that are even on a logarithmic axis, both ends among them."""
    return [low * (high / low) ** (n / _STEPS) for n in range(_STEPS + 1)]
