"""The printable page: complete, alone, escaped, and readable on paper and screen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from blackstart.evidence import keys
from blackstart.evidence.build import Built
from blackstart.evidence.limits import TO_FILL_IN
from blackstart.evidence.page import page
from tests.evidence.runs import DRILL, KEY, LABEL, RUN_ID
from tests.report.chromium import BINARY, inspect
from tests.report.test_browser import LOOK


def text(built: Built) -> str:
    html = (built.folder / "evidence.html").read_text()
    return html.replace("\N{NO-BREAK SPACE}", " ")


def changed(built: Built, **changes: Any) -> dict[str, Any]:
    return {**built.facts, **changes}


def test_the_page_has_all_that_an_auditor_asks_for(built: Built) -> None:
    html = text(built)
    for said in (
        RUN_ID,
        "2026-01-15",
        "When the Postgres primary",  # the hypothesis
        "kill(postgres.primary, process=postgres)",
        LABEL,
        "2026-01-15 09:30:08.020+00",  # the target of the restore
        "timeline 2",
        "no corruption in 14 indexes",
        "≤ 1 min 0 s",  # the target of the run
        "rows-deleted: restore",
        "exit 0",
        "restore is done",
        "<code>a1a1a1a1a1a1</code>",  # the begin of the hash of a step's code
        "1 runbook followed as written",
        f"1 restore from backup {LABEL}, each checked.",
        "async-replication",
        "lost broke, as it had to",
        f"runs/{DRILL}/control-async-replication",
        "postgresql 17.6",
        "blackstart 0.1.0",
        "Sample size 1",
        "A1.3",
        "8.5",
        "Art. 12(2)",
        "Art. 25(1)",
        "sha256sum --strict -c SHA256SUMS",
        "openssl pkeyutl -verify",
        keys.fingerprint(KEY.public_key()),
    ):
        assert said in html, said


def test_what_no_machine_knows_is_left_to_people(built: Built) -> None:
    html = text(built)
    for field in TO_FILL_IN:
        assert re.search(rf"{re.escape(field)}<br>.*?</th><td></td>", html, re.S), field


def test_the_page_is_alone_and_what_it_shows_is_escaped(built: Built) -> None:
    html = text(built)
    assert "rows &lt;b&gt;" in html and "rows <b>" not in html
    assert "<script" not in html and "<link" not in html and "<img" not in html
    assert not re.search(r'(?:src|href)="', html)
    assert "default-src 'none'" in html


def test_recovery_and_the_course_of_the_restore_are_drawn_with_words_for_who_cannot_see(built: Built) -> None:
    charts = re.findall(r'<svg[^>]*aria-label="([^"]*)"', text(built))
    assert len(charts) == 2
    assert re.search(r"Primary crash: .* s, target 1 min 0 s", charts[0])
    assert "restore 3.10 s" in charts[1]


def test_a_verdict_is_a_sign_and_a_word(built: Built) -> None:
    for verdict, said in (("pass", "✓ Pass"), ("fail", "✕ Fail"), ("unknown", "? Unknown")):
        head = page(changed(built, verdict=verdict)).split("</header>")[0]
        assert said in head


def test_a_run_of_controls_alone_has_a_page(built: Built) -> None:
    (drill,) = built.facts["drills"]
    alone = {**drill, "trials": [t for t in drill["trials"] if t["role"] == "control"], "verdict": "unknown"}
    html = page(changed(built, drills=[alone], environment={**built.facts["environment"], "images": []}))
    assert "async-replication" in html and "Recovery against its target" not in html


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exit": 28, "wrong": "rows-deleted: restore failed (exit 28)"}, "✕ exit 28"),
        ({"exit": 28, "must_fail": True}, "✓ exit 28, loudly, as it must"),
        ({"exit": 0, "must_fail": True, "wrong": "went well"}, "✕ exit 0, not loudly"),
        ({"exit": None, "end_s": None, "stopped": True, "wrong": "was stopped"}, "? no end recorded"),
        ({"exit": None, "wrong": "was not done within 60 s"}, "✕ ended from outside"),
    ],
)
def test_a_step_is_judged_by_what_it_must_do(built: Built, change: dict[str, Any], said: str) -> None:
    (drill,) = built.facts["drills"]
    trial = next(t for t in drill["trials"] if t["role"] == "drill")
    steps = [{**s, **change} if s["step"] == "restore" else s for s in trial["steps"]]
    html = page(changed(built, drills=[{**drill, "trials": [{**trial, "steps": steps}]}]))
    assert said in html


@pytest.mark.skipif(BINARY is None, reason="no Chromium here")
@pytest.mark.parametrize(
    ("width", "scheme", "paper"), [(1280, "light", "rgb(255, 255, 255)"), (375, "dark", "rgb(20, 23, 26)")]
)
def test_a_browser_shows_it_without_error_request_or_overflow(
    built: Built, tmp_path: Path, width: int, scheme: str, paper: str
) -> None:
    file = built.folder / "evidence.html"
    seen = inspect(file, tmp_path / "profile", width, scheme, LOOK)
    assert seen["messages"] == []
    assert seen["requests"] == [file.as_uri()]
    look = seen["value"]
    assert look["wide"] <= width == look["window"]
    assert look["paper"] == paper
    assert not look["small"] and not look["outside"]
