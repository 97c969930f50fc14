"""The report of a runbook that was followed: the steps, what they said, and where the time went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blackstart.measure.followed import steps_of
from blackstart.measure.split import Split, split
from blackstart.report import build, followed
from blackstart.report.followed import caption
from tests.report.synth import NS, Synth

Line = dict[str, Any]


def step(
    name: str, at: float, to: float, status: int | None = 0, phase: str | None = None, **told: Any
) -> list[Line]:
    """A step from `at` to `to` s; `fails` goes with its begin, all else with its end."""
    head = {"source": "runbook", "runbook": "lost", "step": name, "phase": phase}
    fails = {"fails": told.pop("fails")} if "fails" in told else {}
    end = {"exit": status, "output": f"{name} says <b>so</b>", **told}
    return [
        {"time": round(at * NS), **head, "event": "begin", **fails},
        {"time": round(to * NS), **head, "event": "end", **end},
    ]


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def found(*lines: list[Line], hi: float, censored: bool = False) -> Split:
    made = split(steps_of(line for each in lines for line in each), 10, 100, hi, censored)
    assert made is not None
    return made


RESTORE = (
    step("find", 12, 13, phase="detect"),
    step("copy", 13, 33, phase="copy"),
    step("check", 34, 36, phase="verify"),
)


def test_the_caption_says_where_the_time_went_until_clients_were_served() -> None:
    assert plain(caption(found(*RESTORE, hi=30), "chat")) == (
        "Of the 30.0 s that chat took at most, 3.00 s went to detect, 20.0 s to copy, 2.00 s to verify, "
        "1.00 s elsewhere and 4.00 s more until clients were served again."
    )


def test_what_was_done_afterwards_is_told_apart() -> None:
    assert plain(caption(found(*RESTORE, hi=23.5), "chat")) == (
        "Of the 23.5 s that chat took at most, 3.00 s went to detect, 20.0 s to copy and 500 ms more until "
        "clients were served again. Afterwards 2.00 s went to verify."
    )


@pytest.mark.parametrize(
    ("hi", "censored", "first"),
    [(0, False, "Clients felt no outage."), (40, True, "chat was not seen to be served again.")],
)
def test_clients_that_felt_nothing_or_never_came_back_are_said(hi: float, censored: bool, first: str) -> None:
    assert plain(caption(found(*RESTORE, hi=hi, censored=censored), "chat")) == (
        f"{first} Of the 26.0 s to the end of the last step, 3.00 s went to detect, 20.0 s to copy, 2.00 s "
        "to verify and 1.00 s elsewhere."
    )


def test_without_steps_there_is_nothing_to_show_and_without_a_fault_no_figure() -> None:
    assert followed.view([], {}, [], 45, 0) is None
    told = followed.view([line for each in RESTORE for line in each], {}, [], 45, 0)
    assert told is not None
    assert told["figures"] == []
    assert [s["name"] for s in told["steps"]] == ["lost: find", "lost: copy", "lost: check"]


@pytest.mark.parametrize(
    ("lines", "outcome", "verdict"),
    [
        (step("copy", 1, 2), "done", "pass"),
        (step("copy", 1, 2, 4), "failed (exit 4): copy says <b>so</b>", "fail"),
        (step("copy", 1, 2, 4, fails="says"), "failed as it must, exit 4", "pass"),
        (step("copy", 1, 2, 0, fails="says"), "went well, and had to fail with 'says'", "fail"),
        (step("copy", 1, 2, None, cut="limit", limit_s=1), "was not done within 1.00 s", "fail"),
        (step("copy", 1, 2, None, cut="stop"), "was stopped", "unknown"),
    ],
)
def test_the_outcome_of_each_step(lines: list[Line], outcome: str, verdict: str) -> None:
    told = followed.view(lines, {}, [], 45, 0)
    assert told is not None
    assert [(plain(s["outcome"]), s["verdict"]) for s in told["steps"]] == [(outcome, verdict)]


def test_a_report_has_the_figure_the_table_and_the_words(tmp_path: Path) -> None:
    synth = Synth()
    folder = synth.write(tmp_path / "drill")
    secret = step("copy", 15.5, 16.0, phase="copy")
    secret[1]["output"] = f"<b>copied</b> with {synth.secret}"
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    lines += [*step("find", 15.2, 15.4, phase="detect"), *secret, *step("check", 20, 21, 3, phase="verify")]
    lines.sort(key=lambda line: line["time"])
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    build.build(folder, [synth.secret])
    page, short = (plain((folder / name).read_text()) for name in ("report.html", "report.md"))
    assert "<h3>Where the time went</h3>" in page
    assert "took at most, 380 ms went to detect, 500 ms to copy, 100 ms elsewhere and " in page
    assert "more until clients were served again. Afterwards 1.00 s went to verify." in page
    assert "<pre>&lt;b&gt;copied&lt;/b&gt; with [redacted]</pre>" in page
    assert "lost: check failed, exit 3" in page
    assert "| lost: check | verify | T+4.980 s | 1.00 s | ✕ failed (exit 3)" in short.replace("\\", "")
    assert synth.secret not in page + short
