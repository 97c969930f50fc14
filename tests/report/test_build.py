"""The report as a whole: complete, contained, escaped, small, quick."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from blackstart.cli.report_cmd import report_command
from blackstart.model.errors import EvidenceError
from blackstart.report import build, summary
from blackstart.report.folder import read_judged
from blackstart.report.view import safe_href
from tests.report.synth import Synth


class Page(HTMLParser):
    """What a browser would make of a page: tags with attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text())


def change(folder: Path, **fields: Any) -> None:
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, **fields}))


def small(folder: Path, role: str = "drill", **fields: Any) -> Path:
    """A short run, to be built by the test."""
    synth = Synth(seconds=12, begin=4.02, end=9.5, outage=0.9, **fields)
    return synth.write(folder, role=role)


def test_the_sections_stand_in_the_order_of_a_post_mortem(drill_folder: Path) -> None:
    ids = [a["id"] for a in page(drill_folder).of("h2")]
    assert ids == [
        *("impact", "clients", "hypothesis", "environment", "timeline", "recovery", "degradation"),
        *("objectives", "control", "limits", "actions", "reproduce"),
    ]


def test_the_verdict_is_one_sentence_with_the_figures(drill_folder: Path) -> None:
    text = page(drill_folder).text
    assert re.search(r"The hypothesis holds: clients were served again [\d.]+–[\d.]+ s after the fault", text)
    assert re.search(r"none of 4\s793 acknowledged writes was lost", text)


def test_nothing_is_loaded_from_elsewhere(drill_folder: Path) -> None:
    shown = page(drill_folder)
    assert not shown.of("script", "link", "img", "iframe", "object", "embed")
    assert not [a for _, a in shown.tags if any(k in a for k in ("src", "srcset", "style", "onload"))]
    text = (drill_folder / "report.html").read_text()
    assert "@import" not in text
    patterns = {f"#hatch-{chart}" for chart in ("strip", "recovery", "roles", "course", "degraded")}
    assert set(re.findall(r"url\(([^)]*)\)", text)) == patterns
    ids = [a["id"] for _, a in shown.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {f"#{each}" for each in ids} >= patterns
    assert "default-src 'none'" in text


def test_every_chart_has_a_text_alternative_a_caption_and_its_data(drill_folder: Path) -> None:
    text = (drill_folder / "report.html").read_text()
    figures = re.findall(r"<figure>.*?</figure>", text, re.S)
    assert len(figures) == 6
    for figure in figures:
        assert len(re.findall(r'<svg[^>]* role="img" aria-label="[^"]{30,}"', figure)) == 1
        assert re.search(r"<figcaption>.{30,}</figcaption>", figure, re.S)
        assert "<summary>Data" in figure


def test_logs_and_answers_are_escaped(drill_folder: Path) -> None:
    text = (drill_folder / "report.html").read_text()
    assert "&lt;script&gt;alert(&#39;log&#39;)&lt;/script&gt;" in text
    assert "HTTP 503 &lt;not applied&gt;" in text
    assert "<not applied>" not in (drill_folder / "report.md").read_text()


def test_what_components_say_is_escaped_and_redacted(drill_folder: Path) -> None:
    shown = page(drill_folder)
    assert "<b>what</b> redis://:[redacted]@redis-1" in shown.text
    assert not shown.of("b")


def test_degradations_are_escaped_and_redacted(tmp_path: Path) -> None:
    folder = small(tmp_path)
    history = folder / "history.jsonl"
    history.write_text(history.read_text().replace("cache-skip", f"<b>x</b> {Synth().secret}"))
    build.build(folder, [Synth().secret])
    shown = page(folder)
    assert "Answers named <b>x</b> [redacted] in" in shown.text
    assert not shown.of("b")
    assert Synth().secret not in (folder / "report.html").read_text()


def test_the_steps_of_recovery_are_told_drawn_and_marked(drill_folder: Path) -> None:
    text = page(drill_folder).text.replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(
        r"Of the 1\.\d\d s that \w+ took at most, 310 ms went until a component noticed \(patroni\), "
        r"670 ms went until another was primary \(patroni\), 430 ms went until the proxy had changed "
        r"its route \(haproxy\) and \d+ ms more until clients were served again\.",
        text,
    )
    assert re.search(
        r"rerouted 1\.41 s haproxy pg-2 up \(pgproxy-1\) at most 200 ms earlier, haproxy says", text
    )
    assert "rerouted pg-2 up says pgproxy-1" in text
    short = (drill_folder / "report.md").read_text()
    assert "310 ms went until a component noticed (patroni)" in short
    assert "Answers named cache-skip in" in short


def test_instances_are_called_as_the_stack_calls_them(drill_folder: Path) -> None:
    text = page(drill_folder).text
    assert "bs-2026" not in text
    assert "in force on pg-1" in text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    bad = "</title></svg><script>alert(1)</script>\"'|`"
    folder = small(tmp_path, rates={bad: 20.0})
    change(folder, run_id=bad, command=bad, notes=[bad], runbook_path="javascript:alert(1)", gates=[bad])
    build.build(folder)
    shown = page(folder)
    assert not shown.of("script")
    assert not [a for a in shown.of("a") if (a["href"] or "").startswith("javascript")]
    assert "<script" not in (folder / "report.md").read_text().replace(build.code(bad), "")


def test_planted_secrets_are_nowhere(drill_folder: Path) -> None:
    for name in ("report.html", "report.md"):
        assert Synth().secret not in (drill_folder / name).read_text()
    text = (drill_folder / "report.html").read_text()
    assert "postgres://app:[redacted]@pgproxy-1:5000/app" in text
    assert "&#34;jwt_secret&#34;: &#34;[redacted]&#34;" in text


def test_masking_does_not_harm_the_page(tmp_path: Path) -> None:
    folder = small(tmp_path)
    (folder / "logs" / "z.log").write_text("ERROR enter the password:\n")
    build.build(folder, ["div", "table", "kill"])
    shown = page(folder)
    assert "enter the password:" in shown.text
    assert "[redacted](postgres.primary, process=postgres)" in shown.text
    assert len(shown.of("table")) == (folder / "report.html").read_text().count("</table>") > 5


def test_a_hundred_thousand_operations_fit_in_2_mb_and_5_s(tmp_path: Path) -> None:
    Synth(seconds=300, rates={"sql_write": 300.0, "chat": 30.0, "session_read": 5.0}).write(tmp_path)
    began = time.process_time()
    paths = build.build(tmp_path)
    assert time.process_time() - began <= 5
    assert max(path.stat().st_size for path in paths) <= 2_000_000


def test_a_report_can_be_built_again_to_the_byte(tmp_path: Path) -> None:
    folder = small(tmp_path)
    first = [p.read_bytes() for p in build.build(folder)]
    assert [p.read_bytes() for p in build.build(folder)] == first


def test_a_failed_objective_is_named_in_the_verdict(tmp_path: Path) -> None:
    folder = small(tmp_path, lose=3)
    build.build(folder)
    assert "The hypothesis does not hold: 3 acknowledged writes were lost (bound ≤ 0)" in page(folder).text


def test_a_control_that_broke_what_it_should_is_shown_as_caught(tmp_path: Path) -> None:
    folder = small(tmp_path, role="control", lose=3)
    build.build(folder)
    text = page(folder).text
    assert "✓ Caught" in text
    assert "The control proves the drill: on the weakened stack (async-replication) 3 acknowledged" in text


def test_a_control_that_broke_nothing_proves_nothing(tmp_path: Path) -> None:
    folder = small(tmp_path, role="control")
    build.build(folder)
    assert "✕ Not caught" in page(folder).text
    assert "The control proves nothing" in page(folder).text


def test_a_load_that_ends_in_the_outage_is_reported_as_more_than_lo(tmp_path: Path) -> None:
    folder = Synth(seconds=12, begin=6.0, end=11.9, outage=60).write(tmp_path)
    build.build(folder)
    text = page(folder).text
    assert "✕ Fail" in text
    assert "more than" in text
    assert "was not seen to recover" in text
    assert "not served again before the load ended" in text


def test_without_events_or_load_there_still_is_a_report(tmp_path: Path) -> None:
    folder = small(tmp_path)
    header = (folder / "history.jsonl").read_text().splitlines()[0]
    (folder / "history.jsonl").write_text(header + "\n")
    (folder / "events.jsonl").write_text("")
    (folder / "run.json").write_text("{}")
    build.build(folder)
    assert "? Unknown" in page(folder).text


def test_missing_or_broken_evidence_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"run\.json: no such file"):
        build.build(tmp_path)
    (tmp_path / "run.json").write_text("[1]")
    with pytest.raises(EvidenceError, match="not a JSON object"):
        build.build(tmp_path)


def test_the_command_exits_3_and_says_why(tmp_path: Path) -> None:
    result = CliRunner().invoke(report_command, [str(tmp_path)])
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "neither run.json" in result.stderr


def test_the_command_rebuilds_a_session(tmp_path: Path) -> None:
    small(tmp_path / "drill-1")
    small(tmp_path / "control-1", role="control", lose=2)
    small(tmp_path / "placebo-1", role="placebo", fault=False)
    (tmp_path / "latest").symlink_to("drill-1", target_is_directory=True)
    result = CliRunner().invoke(report_command, [str(tmp_path), "--secret", Synth().secret])
    assert result.exit_code == 0, result.output
    shown = Page((tmp_path / "index.html").read_text())
    assert "1 of 1 hypothesis held; 1 of 1 negative control caught the sabotage" in shown.text
    assert "1 of 1 placebo stayed quiet" in shown.text
    hrefs = [a["href"] for a in shown.of("a")]
    assert hrefs == ["drill-1/report.html", "control-1/report.html", "placebo-1/report.html"]
    assert all((tmp_path / str(href)).is_file() for href in hrefs)
    assert "[trial 1](<drill-1/report.html>)" in (tmp_path / "summary.md").read_text()


def test_where_a_session_had_several_stacks_each_drill_names_its_own(tmp_path: Path) -> None:
    for number, stack in enumerate(("sample", "recovery")):
        run = small(tmp_path / stack / "trial-1") / "run.json"
        told = json.loads(run.read_text())
        told["experiment"]["name"] = f"drill.{number}"
        told["stack"]["name"] = stack
        run.write_text(json.dumps(told))
    shown = summary.build(tmp_path).read_text()
    assert "On the stack sample." in shown and "On the stack recovery." in shown
    assert "| Drill: 1 (recovery) |" in (tmp_path / "summary.md").read_text()
    (tmp_path / "recovery" / "trial-1" / "run.json").unlink()
    assert "On the stack" not in summary.build(tmp_path).read_text(), "there is one"


def test_trials_give_a_distribution_and_what_their_maximum_bounds() -> None:
    runs = [{"measure": {"rto": {"hi_s": hi, "censored": False}}} for hi in (1.5, 1.7, 1.6)]
    told = summary.spread(runs).replace("\N{NO-BREAK SPACE}", " ")
    assert told == (
        "RTO (upper bound) over 3 trials: median 1.60 s, maximum 1.70 s, "
        "which bounds the 95th percentile with 14 % confidence."
    )
    runs.append({"measure": {"rto": {"hi_s": 30, "censored": True}}})
    assert "so there is no maximum" in summary.spread(runs)
    assert summary.spread(runs[:1]) == ""


def test_junit_properties_are_flat_text(drill_folder: Path) -> None:
    run = read_judged(drill_folder)
    told = build.junit_properties(run)
    assert told["blackstart.verdict"] == "pass"
    assert told["blackstart.rto.censored"] == "false"
    assert told["blackstart.objective.lost"] == "pass"
    assert all(isinstance(value, str) for value in told.values())


@pytest.mark.parametrize(
    ("path", "href"),
    [
        ("../../runbooks/x.md", "../../runbooks/x.md"),
        ("https://example.org/x", "https://example.org/x"),
        ("javascript:alert(1)", None),
        ("//evil.example/x", None),
        ("data:text/html,x", None),
        (None, None),
    ],
)
def test_links_lead_to_files_or_https_only(path: str | None, href: str | None) -> None:
    assert safe_href(path) == href
