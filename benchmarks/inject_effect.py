"""How long until a fault is felt, and until its undo is? Seen by a client, beside Docker's own commands.

    python -m benchmarks.inject_effect [--times 20] [--only edge_down kill]

On the small stack, a client in the pod of web-1 makes a new connection to the store every 4 ms, sends a PING
and gives up after 100 ms. Felt is the first of three PINGs in a row, as they were begun, that went wrong: at
the moment of its error, or of its begin where no answer came. Undone is the first answer of three in a row.

strike   from the `begin` in the events, from which RTO counts, to felt
call     from the call of `inject` to felt: with the plan, the journal, and the helper that ends the fault
         where it is, all of which come before `begin`
undo     from the call of `undo` to undone

Beside kill and freeze stand `docker kill`, `start`, `pause` and `unpause` of the same container in the same
run, beside the edges one POST to Toxiproxy by curl; all from the start of the command.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.small import inside, small_stack
from benchmarks.stats import goal, load_average, spread
from blackstart.faults import Fault, edge_down, edge_latency, freeze, kill, partition
from blackstart.injection.injector import Injection, Injector
from blackstart.injection.journal import Journal
from blackstart.platforms.waiting import GiveUp, wait_for, wait_until
from blackstart.stack.running import RunningStack

EVERY_MS, LIMIT_MS = 4, 100
IN_A_ROW = 3
LIMIT_NS = LIMIT_MS * 1_000_000


@dataclass(frozen=True)
class Look:
    """One PING: ns of the monotonic clock, and how it ended: ok, error or late."""

    begin: int
    end: int
    outcome: str

    @property
    def ok(self) -> bool:
        """Whether it was answered in time."""
        return self.outcome == "ok"


@dataclass(frozen=True)
class Case:
    """A fault, its goals (medians, ms), and what commands of others do the same, if any: in, out."""

    fault: Fault
    strike_ms: float
    undo_ms: float
    peer: tuple[str, str] | None = None


_EDGE = "curl -sf -o /dev/null -X POST {api}/proxies/store-1:6379"
_TOXICS = "curl -sf -o /dev/null {api}/proxies/store-1:6379/toxics"
_LATENCY = '{{"name":"slow","type":"latency","attributes":{{"latency":200}}}}'

CASES = (
    Case(
        edge_down("web-1", "store-1"),
        strike_ms=20,
        undo_ms=20,
        peer=(f"{_EDGE} -d '{{{{\"enabled\":false}}}}'", f"{_EDGE} -d '{{{{\"enabled\":true}}}}'"),
    ),
    Case(
        edge_latency("web-1", "store-1", latency="200ms", direction="downstream"),
        strike_ms=20,
        undo_ms=20,
        peer=(f"{_TOXICS} -d '{_LATENCY}'", f"{_TOXICS}/slow -X DELETE"),
    ),
    Case(kill("store-1"), strike_ms=200, undo_ms=200, peer=("docker kill {store}", "docker start {store}")),
    Case(
        freeze("store-1"), strike_ms=200, undo_ms=200, peer=("docker pause {store}", "docker unpause {store}")
    ),
    Case(partition("store-1", "web-1"), strike_ms=500, undo_ms=500),
)


def effect(looks: Sequence[Look], since: int, ok: bool) -> int | None:
    """ns from `since` until clients felt the fault, or (`ok`) felt it no more; None if not yet.

    A look counts once it is older than what a look may take: until then an earlier one may be missing.
    """
    settled = max((look.end for look in looks), default=0) - LIMIT_NS
    known = sorted((k for k in looks if k.begin <= settled), key=lambda k: k.begin)
    for first in range(len(known) - IN_A_ROW + 1):
        row = known[first : first + IN_A_ROW]
        # One that came to nothing tells of its begin: begun before, it may have been late for another reason.
        at = row[0].begin if row[0].outcome == "late" else row[0].end
        if at >= since and all(look.ok is ok for look in row):
            return at - since
    return None


class Watch:
    """The client in the pod of web-1; a context manager that ends it."""

    def __init__(self, running: RunningStack) -> None:
        argv = inside(running.container("web-1"), "watch", "store-1", "6379", str(EVERY_MS), str(LIMIT_MS))
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._looks: list[Look] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            begin, end, outcome = line.split()
            self._looks.append(Look(int(begin), int(end), outcome))

    def felt_ms(self, since: int, ok: bool) -> float:
        """ms from `since` until the fault was felt, or no more; waits at most 20 s for it."""

        def seen() -> int | None:
            recent = [look for look in self._looks[-4000:] if look.end >= since]
            return effect(recent, since, ok)

        def last() -> str:
            return f"the last looks: {[look.outcome for look in self._looks[-10:]]}"

        what = "clients to be served" if ok else "clients to feel the fault"
        return wait_for(what, seen, limit="20s", every=0.05, last=last) / 1e6

    def settle(self) -> None:
        """Wait until half a second has gone well."""

        def well() -> str | None:
            recent = self._looks[-500 // EVERY_MS :]
            if not self._thread.is_alive():
                raise GiveUp(f"the client inside ended with status {self._process.wait(10)}")
            wrong = [look.outcome for look in recent if not look.ok]
            return f"{len(wrong)} of {len(recent)} wrong: {wrong[-5:]}" if wrong or not recent else None

        wait_until("half a second without trouble", well, limit="60s", every=0.05)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Bench:
    """Injects by each way in turn and keeps what clients felt, ms by case and figure."""

    def __init__(self, running: RunningStack, watch: Watch) -> None:
        self._running, self._watch = running, watch
        self._began = 0
        self._injector = Injector(running, self._event, Journal(running.run_id))
        self._names = {
            "store": running.container("store-1"),
            "api": running.proxy_api("web-1"),
        }
        self.felt: dict[str, dict[str, list[float]]] = {}

    def _event(self, source: str, event: str, **_: Any) -> None:
        if (source, event) == ("fault", "begin"):
            self._began = time.monotonic_ns()

    def ours(self, case: Case) -> None:
        """Inject and undo by the engine."""
        kept: list[Injection] = []
        with self._injector:
            self._once(
                case.fault.kind,
                lambda: kept.append(self._injector.inject(case.fault)),
                lambda: kept[0].undo(),
                struck=lambda: self._began,
            )

    def theirs(self, case: Case) -> None:
        """The same by the commands of others, if there are any."""
        if case.peer is None:
            return
        into, out = (["sh", "-c", command.format(**self._names)] for command in case.peer)
        self._once(
            f"{case.fault.kind} by {case.peer[0].split()[0]}",
            lambda: subprocess.run(into, check=True, capture_output=True),
            lambda: subprocess.run(out, check=True, capture_output=True),
        )

    def _once(
        self,
        name: str,
        inject: Callable[[], object],
        undo: Callable[[], object],
        struck: Callable[[], int] | None = None,
    ) -> None:
        felt = self.felt.setdefault(name, {})
        self._watch.settle()
        called = time.monotonic_ns()
        inject()
        if struck is not None:
            felt.setdefault("strike", []).append(self._watch.felt_ms(struck(), ok=False))
        felt.setdefault("call", []).append(self._watch.felt_ms(called, ok=False))
        called = time.monotonic_ns()
        undo()
        felt.setdefault("undo", []).append(self._watch.felt_ms(called, ok=True))


def main() -> int:
    """Print a table and the goals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20, help="repetitions of each (default 20)")
    kinds = [case.fault.kind for case in CASES]
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds, help="these faults alone")
    options = parser.parse_args()
    cases = [case for case in CASES if case.fault.kind in options.only]
    with small_stack() as running, Watch(running) as watch:
        bench = Bench(running, watch)
        print(load_average())
        for _ in range(options.times):
            for case in cases:
                bench.ours(case)
                bench.theirs(case)
    for name, felt in bench.felt.items():
        for figure, values in felt.items():
            print(f"{name:24} {figure:7} {spread(values)}")
    for case in cases:
        medians = {figure: median(values) for figure, values in bench.felt[case.fault.kind].items()}
        for figure, bound in (("strike", case.strike_ms), ("undo", case.undo_ms)):
            what = f"{case.fault.kind}: {figure} to effect at most {bound:.0f} ms ({medians[figure]:.1f})"
            goal(what, medians[figure] <= bound)
    print(load_average())
    return 0


if __name__ == "__main__":
    sys.exit(main())
