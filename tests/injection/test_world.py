"""The look at the world notices whatever a fault may leave behind, and nothing once that is gone."""

from __future__ import annotations

import pytest

from blackstart.platforms.waiting import wait_for, wait_until
from blackstart.stack.running import RunningStack
from tests.injection.world import difference, snapshot


@pytest.mark.integration
@pytest.mark.parametrize(
    ("instance", "leave", "mend"),
    [
        ("web-1", "echo +5 >/run/clock", "echo +0 >/run/clock"),
        ("web-1", "touch /opt/left", "rm /opt/left"),
        ("store-1", "touch /data/.ballast", "rm /data/.ballast"),
        (
            "web-1",
            "was=$(prlimit -p $(pgrep -x web) -n -o SOFT --noheadings); prlimit -p $(pgrep -x web) -n64: "
            "&& echo $was >/run/was",
            "prlimit -p $(pgrep -x web) -n$(tr -d ' ' </run/was): && rm /run/was",
        ),
        (
            "web-1",
            "echo 9 >/proc/$(pgrep -x web)/oom_score_adj",
            "echo 0 >/proc/$(pgrep -x web)/oom_score_adj",
        ),
        ("web-1", "setsid -f tail -f /dev/null >/dev/null 2>&1", "pkill -x tail"),
    ],
    ids=["clock", "file", "disk", "limit", "score", "process"],
)
def test_what_is_left_behind_is_noticed(small: RunningStack, instance: str, leave: str, mend: str) -> None:
    before = snapshot(small)
    wait_until("nothing is noticed", lambda: difference(before, small), limit=5)
    try:
        left = small.exec(instance, ["sh", "-c", leave])
        assert left.code == 0, left.output
        assert " is now " in wait_for("it is noticed", lambda: difference(before, small), limit=5)
    finally:
        small.exec(instance, ["sh", "-c", mend])
    wait_until("it is as it was", lambda: difference(before, small), limit=5)
