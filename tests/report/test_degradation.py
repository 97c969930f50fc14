"""Degradation over time: shares of the answers that say, and nothing of those that do not."""

from __future__ import annotations

from blackstart.report import degradation
from blackstart.report.draw import Span
from blackstart.report.samples import Sample, Samples, aggregate


def answer(due: float, *modes: str, f: str = "chat") -> Sample:
    return Sample(f, due, due, due + 0.1, "ok", degraded=modes)


def loaded(*more: Sample) -> Samples:
    plain = [Sample("write", n / 10, n / 10, n / 10 + 0.01, "ok") for n in range(300)]
    return aggregate([*plain, *more])


def view(samples: Samples) -> dict[str, object] | None:
    return degradation.view(samples, Span(0.0, samples.end, 10.0), [(10.0, 20.0)], 10.0)


def test_the_share_counts_only_answers_that_say() -> None:
    samples = loaded(
        answer(5.0), answer(11.0, "no-cache"), answer(11.1), Sample("chat", 11.2, 11.2, None, "info")
    )
    shown = view(samples)
    assert shown is not None
    told = str(shown["caption"]).replace("\N{NO-BREAK SPACE}", " ")
    assert told.startswith("Answers named no-cache in 1 of 3 (due T+1.000 s).")
    assert shown["rows"] == [["+0.80", "no-cache", "1", "2", "50.00\N{NO-BREAK SPACE}%"]]


def test_an_answer_may_name_several_degradations() -> None:
    samples = loaded(answer(11, "no-cache", "fallback-model"), answer(15, "fallback-model", "fallback-model"))
    shown = view(samples)
    assert shown is not None
    assert [row[1:4] for row in shown["rows"]] == [  # type: ignore[attr-defined]
        ["fallback-model", "1", "1"],
        ["fallback-model", "1", "1"],
        ["no-cache", "1", "1"],
    ]
    assert str(shown["chart"]).count('class="row-name') == 2


def test_no_answer_says_or_none_was_degraded() -> None:
    assert view(loaded()) is None
    shown = view(loaded(answer(3)))
    assert shown is not None
    assert shown["chart"] is None
    assert "None of the 1 answers" in str(shown["caption"])


def test_names_without_end_do_not_grow_the_report() -> None:
    shown = view(loaded(*(answer(n / 100, f"mode-{n}") for n in range(2000))))
    assert shown is not None
    assert str(shown["chart"]).count('class="row-name') == degradation.MAX_MODES
    assert "rarer ones are not drawn" in str(shown["caption"])
