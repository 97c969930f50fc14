"""Sizes as people write them."""

from __future__ import annotations

import argparse

import pytest

from benchmarks import sizes


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("100MB", 10**8), ("1.6 GB", 1_600_000_000), ("1TB", 10**12)]
)
def test_a_size_is_read_and_shown(text: str, size: int) -> None:
    assert sizes.parse(text) == size
    assert sizes.parse(sizes.shown(size)) == size


def test_a_list_comes_in_ascending_order_each_once() -> None:
    assert sizes.parse_all("1.6GB,100MB,1.6GB,0") == (0, 10**8, 1_600_000_000)


@pytest.mark.parametrize("text", ["", "12", "5 KB", "-1GB", "1gb"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a size"):
        sizes.parse(text)


def test_a_size_is_rounded_to_three_digits() -> None:
    assert [sizes.shown(size) for size in (104_857_600, 999_900_000, 6_497_000_000)] == [
        "105 MB",
        "1 GB",
        "6.5 GB",
    ]
