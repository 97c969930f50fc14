"""What restores come to: the table, the model, the pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks.restore_report import FAR, Round, against_cp, markdown, model, pictures
from blackstart.model.durations import human

SIZES = (100_000_000, 400_000_000, 1_600_000_000, 6_400_000_000)
VOLUMES = (256_000_000, 1_000_000_000)


def taken(size: int, volume: int, number: int = 0) -> Round:
    """A copy at 100 MB/s after 1 s, a replay at 50 MB/s; every second round is 2 % slower."""
    slower = 1 + number % 2 / 50
    cp_s = None if volume else (0.5 + size / 200e6) * slower
    return Round(size, volume, volume, (1 + size / 100e6) * slower, 0.5 + volume / 50e6, 0.25, cp_s)


ROUNDS = [taken(size, 0, number) for size in SIZES for number in range(4)]
ROUNDS += [taken(SIZES[0], volume) for volume in VOLUMES for _ in range(3)]
ROUNDS += [taken(SIZES[-1], volume) for volume in VOLUMES]


def test_the_model_adds_copy_replay_and_opening_up() -> None:
    fitted = model(ROUNDS)
    assert fitted.copy.rate.value == pytest.approx(100e6, rel=0.03)
    assert fitted.replay.rate.value == pytest.approx(50e6, rel=0.03)
    there = fitted.rto(3_200_000_000, 500_000_000)
    assert there.value == pytest.approx(33 + 10.5 + 0.25, rel=0.03)


def test_doubt_grows_with_the_distance_from_what_was_measured() -> None:
    fitted = model(ROUNDS)
    assert fitted.rto(FAR, 0).margin > 20 * fitted.rto(SIZES[-1], 0).margin


def test_a_restore_is_compared_with_cp_of_its_own_round() -> None:
    largest = [each for each in ROUNDS if each.size == SIZES[-1]]
    copy, whole = against_cp(largest)
    assert copy.value == pytest.approx(65 / 32.5)
    assert whole.value > copy.value
    with pytest.raises(ValueError, match="needs a pair"):
        against_cp([each for each in ROUNDS if each.volume])


def test_the_table_has_a_row_for_each_size_and_volume_and_says_what_is_extrapolated() -> None:
    text = markdown(ROUNDS, ["6.4 GB: 1 of 3 rounds"])
    rows = [row for row in text.splitlines() if row.startswith("|") and ("MB |" in row or "GB |" in row)]
    assert len(rows) == len(SIZES) + 2 * len(VOLUMES)
    assert text.count("*Extrapolated*") == 1 + len(VOLUMES) + 1
    assert "from at most 6.4 GB to 1 TB, with 256 MB of WAL" in text
    assert "6.4 GB with 1 GB of WAL: measured" in text
    assert "Left out, the time was up: 6.4 GB: 1 of 3 rounds." in text


def test_of_one_size_there_is_a_table_and_no_line() -> None:
    alone = [taken(SIZES[0], 0, number) for number in range(3)]
    assert "No lines: a line needs 3 points" in markdown(alone, [])
    assert pictures(alone) == {}


def test_the_note_at_a_terabyte_is_of_the_curve_that_it_stands_at() -> None:
    fitted = model(ROUNDS)
    without, most = human(fitted.rto(FAR, 0).value), human(fitted.rto(FAR, VOLUMES[-1]).value)
    assert without != most
    text = pictures(ROUNDS)["restore_size.svg"]
    assert f"1 TB: {without}, extrapolated" in text


def test_the_pictures_label_what_is_extrapolated() -> None:
    made = pictures(ROUNDS)
    assert sorted(made) == ["replay.svg", "restore_size.svg"]
    for text in made.values():
        ElementTree.fromstring(text)
    assert "extrapolated" in made["restore_size.svg"]
    assert "stroke-dasharray" in made["restore_size.svg"]
    assert "stroke-dasharray" not in made["replay.svg"]
