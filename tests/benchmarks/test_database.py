"""How many rows a size asks for."""

from __future__ import annotations

import pytest

from benchmarks.database import rows_of


def test_rows_grow_with_the_size_but_for_what_an_empty_cluster_has() -> None:
    assert rows_of(6_400_000_000) - rows_of(3_200_000_000) == pytest.approx(3_200_000_000 / 237, abs=1)
    assert rows_of(100_000_000) < 100_000_000 / 237


def test_there_is_always_a_row_to_update() -> None:
    assert rows_of(1_000_000) == 1
