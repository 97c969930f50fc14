"""Waits end when they should, and say what they were waiting for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from blackstart.model.errors import ConfigError, SteadyStateError
from blackstart.platforms.waiting import GiveUp, wait_for, wait_until


def test_returns_the_first_value_that_is_not_none() -> None:
    answers = iter([None, None, 0])
    assert wait_for("zero", lambda: next(answers), limit="5s", every=0.001) == 0


def test_a_probe_that_raises_is_tried_again() -> None:
    answers: Iterator[OSError | str] = iter([OSError("refused"), "up"])

    def probe() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert wait_for("server", probe, limit="5s", every=0.001) == "up"


def test_the_failure_names_the_wait_its_length_and_what_was_last_seen() -> None:
    def probe() -> None:
        raise OSError("connection refused")

    with pytest.raises(SteadyStateError, match=r"(?s)the server: not within .*connection refused\nlog: boom"):
        wait_for(
            "the server", probe, limit=0.02, every=0.005, error=SteadyStateError, last=lambda: "log: boom"
        )


def test_details_that_cannot_be_had_do_not_hide_the_failure() -> None:
    def last() -> str:
        raise RuntimeError("no log")

    with pytest.raises(SteadyStateError, match=r"(?s)x: not within .*no log"):
        wait_for("x", lambda: None, limit=0, error=SteadyStateError, last=last)


def test_giving_up_ends_the_wait_at_once() -> None:
    def probe() -> None:
        raise GiveUp("it is dead")

    began = time.monotonic()
    with pytest.raises(SteadyStateError, match=r"given up .*it is dead"):
        wait_for("x", probe, limit="60s", error=SteadyStateError)
    assert time.monotonic() - began < 5


def test_a_wrong_declaration_is_not_waited_for() -> None:
    def probe() -> None:
        raise ConfigError("no such port")

    with pytest.raises(ConfigError, match="no such port"):
        wait_for("x", probe, limit="60s")


def test_stop_ends_the_wait() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(SteadyStateError, match="stopped"):
        wait_for("x", lambda: None, limit="60s", error=SteadyStateError, stop=stop)


def test_wait_until_shows_what_is_still_wrong() -> None:
    with pytest.raises(SteadyStateError, match=r"last seen: two of three$"):
        wait_until("quorum", lambda: "two of three", limit=0.01, every=0.002, error=SteadyStateError)
    assert wait_until("quorum", lambda: None, limit="1s") < 1
