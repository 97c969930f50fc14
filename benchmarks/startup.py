"""How long does the sample stack take to start and to be put back, beside its slowest service alone?

    python -m benchmarks.startup [--times 1]

No stack is steady before its slowest service is. Here that is Postgres: the etcd and Patroni pods alone,
declared from the same instances with the one condition that concerns them, started by the same code in the
same run. Then the whole stack, and what `reset` takes after nothing and after an app replica was killed.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.stats import load_average
from blackstart.model.stack import Stack
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.engine import connect
from blackstart.stack.conditions import Named
from blackstart.stack.images import ensure_images
from blackstart.stack.provision import down, reset, steady, up
from blackstart.stack.running import RunningStack
from sut import conditions
from sut.stack import stack

LIMIT = "180s"


def alone(whole: Stack) -> Stack:
    """The etcd and Patroni pods of the sample stack, and their steady state, as a stack."""
    return Stack(
        name="sample-postgres",
        sidecar=whole.sidecar,
        instances=(*whole.of("etcd"), *whole.of("postgres")),
        steady=(Named("Postgres has a primary and a synchronous standby", conditions.postgres),),
    )


@contextmanager
def started(declared: Stack, platform: DockerPlatform) -> Iterator[tuple[RunningStack, float, float]]:
    """A stack in its steady state, s until its containers ran, s until it was steady; then removed."""
    tags = ensure_images(declared.images(), progress=print)
    run_id = f"bench-{secrets.token_hex(4)}"
    try:
        began = time.monotonic()
        running = up(declared, run_id, platform, tags, lambda _: None)
        containers = time.monotonic() - began
        steady(running, LIMIT, None)
        yield running, containers, time.monotonic() - began
    finally:
        down(run_id, platform)


def main() -> int:
    """Print medians in seconds, and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=1, help="starts of each (default 1; a minute each)")
    options = parser.parse_args()
    platform = DockerPlatform(connect())
    found: dict[str, list[float]] = {}
    for _ in range(options.times):
        print(load_average(), flush=True)
        with started(alone(stack), platform) as (_, containers, steady_s):
            found.setdefault("etcd and Patroni alone: containers run", []).append(containers)
            found.setdefault("etcd and Patroni alone: steady", []).append(steady_s)
        with started(stack, platform) as (running, containers, steady_s):
            found.setdefault("whole stack: containers run", []).append(containers)
            found.setdefault("whole stack: steady", []).append(steady_s)
            found.setdefault("reset after nothing", []).append(reset(running, LIMIT))
            platform.kill(running.container("app-1"))
            found.setdefault("reset after a killed app replica", []).append(reset(running, LIMIT))
    medians = {name: statistics.median(values) for name, values in found.items()}
    for name, value in medians.items():
        print(f"{name:42} {value:6.2f} s  (of {options.times})")
    ratio = medians["whole stack: steady"] / medians["etcd and Patroni alone: steady"]
    print(f"the whole stack takes {ratio:.2f} times what its slowest service takes alone")
    print(load_average())
    return 0


if __name__ == "__main__":
    sys.exit(main())
