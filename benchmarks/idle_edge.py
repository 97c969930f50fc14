"""What does an edge cost while nothing is wrong with it? A request through it against one without.

    python -m benchmarks.idle_edge [--requests 5000]

Every call between instances goes through a Toxiproxy of the caller's pod, in a drill and outside of it. In
the small stack, a client in the pod of web-1 sends PINGs to the store, in turn on a connection through the
edge and on one straight to the store's own address. Both are in the Docker network, both on open connections.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from benchmarks.small import inside, small_stack
from benchmarks.stats import goal, load_average
from blackstart.load.meter import nearest_rank

GOAL_MS = 0.3


def added(lines: list[str]) -> dict[str, tuple[float, float, float]]:
    """By percentile: ms through the edge, ms without it, and their difference, from lines of two ns each."""
    pairs = [tuple(int(word) / 1e6 for word in line.split()) for line in lines]
    through, straight = (sorted(column) for column in zip(*pairs, strict=True))
    figures = {"p50": (statistics.median(through), statistics.median(straight))}
    figures["p99"] = nearest_rank(through, 0.99), nearest_rank(straight, 0.99)
    return {name: (a, b, a - b) for name, (a, b) in figures.items()}


def main() -> int:
    """Print the percentiles and the goal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=5000, help="PINGs on each way (default 5000)")
    options = parser.parse_args()
    with small_stack() as running:
        places = ("store-1", "6379", "store-1.net", "6379")
        argv = inside(running.container("web-1"), "compare", str(options.requests), *places)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise SystemExit(f"the client inside failed: {done.stderr[-500:]}")
        print(load_average())
        figures = added(done.stdout.splitlines())
    for name, (through, straight, more) in figures.items():
        print(f"{name}: {through:.3f} ms through the edge, {straight:.3f} ms without, {more:.3f} ms added")
    more = figures["p50"][2]
    goal(f"an idle edge adds at most {GOAL_MS} ms at p50 ({more:.3f} ms)", more <= GOAL_MS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
