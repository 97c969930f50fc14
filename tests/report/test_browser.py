"""The report in a real browser: silent, alone, readable on a phone and in the dark."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.chromium import BINARY, inspect

LOOK = """{
  wide: document.documentElement.scrollWidth,
  window: innerWidth,
  paper: getComputedStyle(document.body).backgroundColor,
  small: Array.from(document.querySelectorAll('svg.chart text'))
    .map(t => parseFloat(getComputedStyle(t).fontSize)).filter(size => size < 11).length,
  outside: Array.from(document.querySelectorAll('svg.chart > text'))
    .map(t => t.getBoundingClientRect()).filter(r => r.right > innerWidth + 1 || r.left < -1).length,
}"""


@pytest.mark.skipif(BINARY is None, reason="no Chromium here")
@pytest.mark.parametrize(
    ("width", "scheme", "paper"),
    [
        (1280, "light", "rgb(255, 255, 255)"),
        (375, "light", "rgb(255, 255, 255)"),
        (375, "dark", "rgb(20, 23, 26)"),
    ],
)
def test_a_browser_shows_it_without_error_request_or_overflow(
    drill_folder: Path, tmp_path: Path, width: int, scheme: str, paper: str
) -> None:
    file = drill_folder / "report.html"
    seen = inspect(file, tmp_path / "profile", width, scheme, LOOK)
    assert seen["messages"] == []
    assert seen["requests"] == [file.as_uri()]
    look = seen["value"]
    assert look["wide"] <= width == look["window"]
    assert look["paper"] == paper
    assert look["small"] == 0
    assert look["outside"] == 0
