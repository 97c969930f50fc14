"""The pages in a real browser: silent, alone, readable on a phone, in the dark and on paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from blackstart.report import summary
from tests.report.chromium import BINARY, inspect
from tests.report.synth import Synth

pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium here")

#: Contrast after WCAG 2: (lighter + 0.05) / (darker + 0.05) of the relative luminances.
LOOK = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = c => c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (let at = e; at; at = at.parentElement) {
      const c = rgb(getComputedStyle(at).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const contrast = e => {
    const style = getComputedStyle(e);
    const pair = [light(rgb(e.closest('svg') ? style.fill : style.color)), light(behind(e))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  };
  const all = selector => Array.from(document.querySelectorAll(selector));
  const texts = all('h1, h2, h3, p, td, th, dt, dd, li, summary, figcaption, time, a, .badge, .soft, .note')
    .concat(all('svg.chart text:not([class*="on-"])')).filter(e => e.textContent.trim());
  return {
    wide: document.documentElement.scrollWidth,
    window: innerWidth,
    paper: getComputedStyle(document.body).backgroundColor,
    texts: texts.length,
    faint: texts.filter(e => contrast(e) < 4.5).map(e => e.outerHTML.slice(0, 120)),
    small: all('svg.chart text').filter(t => parseFloat(getComputedStyle(t).fontSize) < 11).length,
    outside: all('svg.chart > text').map(t => [t.textContent, t.getBoundingClientRect()])
      .filter(([, r]) => r.right > innerWidth + 1 || r.left < -1).map(([text]) => text),
    cut: all('.scroll').filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 80)),
    shut: all('details:not(.file) table, details:not(.file) pre, details .timeline')
      .filter(e => !e.checkVisibility()).map(e => e.textContent.slice(0, 80)),
    logs: all('.file').filter(e => e.checkVisibility()).length,
  };
})()"""

SCREENS = [
    (1280, "light", "rgb(255, 255, 255)"),
    (375, "light", "rgb(255, 255, 255)"),
    (1280, "dark", "rgb(20, 23, 26)"),
    (375, "dark", "rgb(20, 23, 26)"),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The summary of a drill with its control and placebo."""
    session = tmp_path_factory.mktemp("index")
    short = Synth(seconds=12, begin=4.02, end=9.5, outage=0.9)
    short.write(session / "trial-1")
    short.write(session / "trial-2", trial=2)
    replace(short, lose=2).write(session / "control", role="control")
    replace(short, fault=False).write(session / "placebo", role="placebo")
    return summary.build(session)


def look(file: Path, profile: Path, width: int, scheme: str, media: str = "screen") -> dict[str, object]:
    """What the browser says of the page, having checked that it is silent and alone."""
    seen = inspect(file, profile, width, scheme, LOOK, media)
    assert seen["messages"] == []
    assert seen["requests"] == [file.as_uri()]
    found: dict[str, object] = seen["value"]
    return found


@pytest.mark.parametrize(("width", "scheme", "paper"), SCREENS)
def test_a_report_is_shown_without_error_request_or_overflow(
    drill_folder: Path, tmp_path: Path, width: int, scheme: str, paper: str
) -> None:
    found = look(drill_folder / "report.html", tmp_path / "profile", width, scheme)
    assert isinstance(found["wide"], int)
    assert found["wide"] <= width == found["window"]
    assert found["paper"] == paper
    assert (found["small"], found["outside"], found["faint"]) == (0, [], [])
    assert isinstance(found["texts"], int)
    assert found["texts"] > 300


@pytest.mark.parametrize(("width", "scheme", "paper"), SCREENS)
def test_the_summary_is_shown_without_error_request_or_overflow(
    index: Path, tmp_path: Path, width: int, scheme: str, paper: str
) -> None:
    found = look(index, tmp_path / "profile", width, scheme)
    assert isinstance(found["wide"], int)
    assert found["wide"] <= width == found["window"]
    assert (found["paper"], found["faint"]) == (paper, [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_paper_it_is_light_whole_and_open(drill_folder: Path, tmp_path: Path, scheme: str) -> None:
    # A4 without its margins is 182 mm wide: 688 CSS pixels.
    found = look(drill_folder / "report.html", tmp_path / "profile", 688, scheme, "print")
    assert isinstance(found["wide"], int)
    assert found["wide"] <= 688
    assert found["paper"] == "rgb(255, 255, 255)"
    assert (found["cut"], found["shut"], found["faint"]) == ([], [], [])
    # Logs would be the larger part of the paper; they are named instead.
    assert found["logs"] == 0
