"""The page and the picture: complete, escaped, and readable in a browser."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from blackstart.coverage.page import page, sentence
from blackstart.coverage.picture import image
from blackstart.model.modes import Mode
from tests.coverage.test_grid import build, strike
from tests.report.chromium import BINARY, inspect
from tests.report.test_browser import LOOK

FOUND = build(
    strike(("db",), Mode.GONE, "fail"),
    strike(("app",), Mode.FROZEN, "pass", days=40),
    strike(("app", "cache"), Mode.SLOW, "unknown", days=3),
    strike(("front", "app"), Mode.CUT),
)


def test_every_state_is_told_by_a_sign_and_the_age_of_the_run() -> None:
    html = page(FOUND)
    for sign in ("✕ 24 h", "✓ 40 days", "? 3 days", ">○<"):
        assert sign in html.replace("\N{NO-BREAK SPACE}", " "), sign
    assert "drill.fail (fault()): fail" in html


def test_the_sentence_counts() -> None:
    assert sentence(FOUND) == (
        "4 of 24 cells have a drill: 1 passed when last run, 1 failed, 1 ended unknown, 1 never run here. "
        "8 of 12 places are struck by none."
    )


def test_drills_link_their_runbooks_from_where_the_page_lies() -> None:
    assert 'href="../runbooks/down.md"' in page(FOUND, "../runbooks")


def test_the_page_is_alone_and_what_it_shows_is_escaped() -> None:
    bad = strike(("db",), Mode.GONE, "pass")
    bad = type(bad)("<script>x</script>", bad.runbook, bad.ends, bad.mode, "<b>", bad.last)
    html = page(build(bad))
    assert "<script" not in html
    assert not re.search(r'(?:src|href)="(?!runbooks/)', html)


def test_the_picture_is_a_file_of_its_own_with_its_style() -> None:
    root = ElementTree.fromstring(image(FOUND))
    assert root.tag.endswith("svg")
    text = " ".join(root.itertext())
    assert "prefers-color-scheme: dark" in text
    assert all(place.name in text for place, _ in FOUND.rows)


@pytest.mark.skipif(BINARY is None, reason="no Chromium here")
@pytest.mark.parametrize(
    ("width", "scheme", "paper"), [(1280, "light", "rgb(255, 255, 255)"), (375, "dark", "rgb(20, 23, 26)")]
)
def test_a_browser_shows_it_without_error_request_or_overflow(
    tmp_path: Path, width: int, scheme: str, paper: str
) -> None:
    file = tmp_path / "map.html"
    file.write_text(page(FOUND))
    seen = inspect(file, tmp_path / "profile", width, scheme, LOOK)
    assert seen["messages"] == []
    assert seen["requests"] == [file.as_uri()]
    look = seen["value"]
    assert look["wide"] <= width == look["window"]
    assert look["paper"] == paper
    assert not look["small"] and not look["outside"]
