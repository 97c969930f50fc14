"""Sizes and rates as people write them."""

from __future__ import annotations

import pytest

from blackstart.model.errors import ConfigError
from blackstart.model.sizes import Size, rate_bytes, size_bytes


@pytest.mark.parametrize(
    ("value", "expected"), [(7, 7), ("64kB", 64_000), ("1.5 KiB", 1536), ("2MiB", 2 << 20), ("1B", 1)]
)
def test_sizes_are_bytes(value: Size, expected: int) -> None:
    assert size_bytes(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(1000, 1000), ("8kbit/s", 1000), ("1Mbit/s", 125_000), ("64 KiB/s", 65_536)]
)
def test_rates_are_bytes_a_second(value: Size, expected: int) -> None:
    assert rate_bytes(value) == expected


@pytest.mark.parametrize("value", [0, -1, True, "", "12", "1kb", "1 furlong", "0.5B", "1kB/s"])
def test_what_is_no_size_is_answered_with_the_units(value: Size) -> None:
    with pytest.raises(ConfigError, match=r"not a size: .* kB, MB"):
        size_bytes(value)


def test_a_size_is_no_rate() -> None:
    with pytest.raises(ConfigError, match=r"not a rate: '64kB' .*kB/s"):
        rate_bytes("64kB")
