"""Helpers of faults, on this host: how they start, and how they end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackstart.faults import _helpers
from blackstart.faults.base import fresh_id


@pytest.fixture
def tag() -> Iterator[str]:
    """A tag that nobody else has; what is called so is ended."""
    tag = _helpers.tagged("test", fresh_id())
    yield tag
    subprocess.run(_helpers.ending(tag), check=False, capture_output=True)


def there(tag: str) -> bool:
    return subprocess.run(["pgrep", "-f", _helpers.pattern(tag)], capture_output=True).returncode == 0


def test_a_helper_ends_with_what_it_started(tag: str) -> None:
    subprocess.run(_helpers.starting(tag, "sleep 60; :"), check=True)
    assert there(tag)
    subprocess.run(_helpers.ending(tag), check=True, capture_output=True)
    assert not there(tag)


def test_one_that_never_came_to_have_a_session_ends_as_well(tag: str) -> None:
    stuck = subprocess.Popen(["sh", "-c", "sleep 60; :", tag])
    try:
        # Its parent reaps it only after that: what is dead and not reaped has no command line any more.
        subprocess.run(_helpers.ending(tag), check=True, capture_output=True)
        assert stuck.wait(5) == -9
    finally:
        stuck.kill()


def test_a_helper_loads_nothing_that_the_image_preloads(tag: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = 'echo "${LD_PRELOAD-nothing}" >"$1"'
    library = "/nowhere/of-the-image.so"
    subprocess.run(
        _helpers.starting(tag, script, str(told)),
        check=True,
        env={"PATH": "/usr/bin:/bin", "LD_PRELOAD": library},
    )
    ends = time.monotonic() + 10
    while not (told.exists() and told.read_text()) and time.monotonic() < ends:
        time.sleep(0.02)
    assert told.read_text() == "nothing\n"
