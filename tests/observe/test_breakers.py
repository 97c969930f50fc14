"""The app's metrics, replayed: breakers and degradations."""

from __future__ import annotations

import pytest

from blackstart.observe.breakers import QUIET_S, BreakerSource, Degradations, samples
from tests.observe.places import Events, Place, recorded, running

PATH = "/metrics"
METRICS = recorded("app-metrics.txt")
LLM = b'app_breaker_state{dependency="llm-primary"}'


def test_breakers_and_degradations_become_events() -> None:
    app = Place({PATH: METRICS})
    source, events = BreakerSource(every=0.02), Events()
    with running("app", "http", {"app-1": app}) as stack:
        source.start(stack, events)
        first = events.until(dependency="llm-primary")
        assert (first["source"], first["event"], first["instance"]) == ("breaker", "closed", "app-1")
        degraded = b'app_degradations_total{mode="llm-fallback"} 3.0\n'
        app.answers[PATH] = METRICS.replace(LLM + b" 0.0", LLM + b" 2.0") + degraded
        assert events.until(event="open", dependency="llm-primary")["was"] == "closed"
        assert events.until(event="degraded")["degradation"] == "llm-fallback"
        app.answers[PATH] = METRICS.replace(LLM + b" 0.0", LLM + b" 1.0") + degraded
        events.until(event="half-open", dependency="llm-primary")
        assert events.names(dependency="redis") == ["closed"]
        assert events.names(degradation="llm-fallback") == ["degraded"]
        app.down()
        events.until(event="unreachable", instance="app-1")
        app.up()
        app.answers[PATH] = METRICS
        events.until(event="reachable", instance="app-1")
        assert events.until(event="closed", dependency="llm-primary", was="half-open")
        source.stop()


def test_an_app_that_answers_with_an_error_is_unreachable() -> None:
    app = Place({PATH: METRICS})
    app.status = 500
    source, events = BreakerSource(every=0.02), Events()
    with running("app", "http", {"app-1": app}) as stack:
        source.start(stack, events)
        assert events.until(event="unreachable")["reason"] == "/metrics answers 500"
        source.stop()


def test_a_degradation_lasts_while_its_counter_grows() -> None:
    now = 0.0
    seen = Degradations(lambda: now)
    # What went on before the drill is not of the drill.
    assert seen.update({"cache": 7}) == {}
    assert seen.update({"cache": 7}) == {}
    assert seen.update({"cache": 8}) == {"cache": True}
    now = QUIET_S / 2
    assert seen.update({"cache": 9}) == {"cache": True}
    now += QUIET_S - 0.1
    assert seen.update({"cache": 9}) == {"cache": True}
    now += 0.2
    assert seen.update({"cache": 9}) == {"cache": False}
    # The process was restarted: it counts from 0 again.
    assert seen.update({"cache": 0}) == {"cache": False}
    assert seen.update({"cache": 1}) == {"cache": True}
    assert seen.update({"cache": 1, "llm": 1}) == {"cache": True, "llm": True}


def test_the_text_format() -> None:
    text = (
        "# HELP x A help text with # and {}\n\n"
        'x{a="1",b="with } and \\" and \\\\ and \\n"} 2.5 1700000000000\n'
        "x_total 1e3\n"
        'x_bucket{le="+Inf"} +Inf\n'
    )
    first, second, third = samples(text)
    assert dict(first.labels) == {"a": "1", "b": 'with } and " and \\ and \n'}
    assert (first.value, second.value, third.value) == (2.5, 1000.0, float("inf"))
    with pytest.raises(ValueError, match="not a metric"):
        list(samples("<html>\n"))
