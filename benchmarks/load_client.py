"""The load client against k6, one core each time: start lag, CPU, memory, and what is on record.

    python -m benchmarks.load_client [--rates 50 200 500] [--seconds 10] [--rounds 2] [--k6 PATH]

Both send the same requests (three POSTs with a unique prompt to one GET, open loop) to the same server, in
turn, pinned to one core and at the same real-time priority, which ours takes by itself; the server runs on
another core. k6 runs once with only its summary and once with its own record of every request (`--out json`):
ours always records every operation. k6 is taken from PATH or built with Go; without either only our figures
are shown.

start lag   how late requests start, against a grid whose zero is the least late start: one rule for both.
            k6 tells it only of its recorded run
CPU         user + system time of the whole process over the middle of the run, for an operation
memory      peak resident set
record      lines and bytes written for an operation
dropped     what was due and could not be started
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks import k6, peers
from benchmarks.stats import goal, load_average, start_lags
from blackstart.load.meter import nearest_rank
from blackstart.load.operations import HttpOperation, LoadPlan
from blackstart.load.process import LoadProcess

SETTLE_S = 3.0

SCRIPT = """
import http from 'k6/http';
import exec from 'k6/execution';
const at = (exec_, rate) => ({ executor: 'constant-arrival-rate', exec: exec_, rate: rate,
  timeUnit: '1s', duration: '%(seconds)ds', preAllocatedVUs: 50, maxVUs: 200 });
export const options = { scenarios: { chat: at('chat', %(writes)d), read: at('read', %(reads)d) } };
export function chat() {
  const n = exec.scenario.iterationInTest;
  http.post('%(url)s/chat', JSON.stringify({ session: 's-' + (n %% 8), message: 'Question ' + n }),
    { headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'k6-' + n }, timeout: '2s' });
}
export function read() { http.get('%(url)s/session/s-1', { timeout: '2s' }); }
"""


@dataclass(frozen=True)
class Mix:
    """Operations a second."""

    writes: int
    reads: int

    @property
    def rate(self) -> int:
        """Of both kinds."""
        return self.writes + self.reads


@dataclass(frozen=True)
class Run:
    """One run of one client. CPU in ms and record in lines and bytes, each for an operation; lags in ms."""

    cpu: float
    memory_mib: float
    lags: list[float] | None
    lines: float
    size: float
    dropped: int

    def __str__(self) -> str:
        lag = "start lag not told"
        if self.lags:
            p50, p99 = nearest_rank(self.lags, 0.5), nearest_rank(self.lags, 0.99)
            lag = f"start lag p50 {p50:.2f}, p99 {p99:.2f}, max {self.lags[-1]:.2f} ms"
        return (
            f"{self.cpu:.3f} ms CPU/operation, {self.memory_mib:.0f} MiB, {lag}, "
            f"{self.lines:.1f} lines and {self.size:.0f} bytes/operation on record, {self.dropped} dropped"
        )


class Server(asyncio.Protocol):
    """The cheapest server there is: echoes the idempotency key, so that it never is what is measured."""

    _key = re.compile(rb"(?i)idempotency-key: *([^\r]*)")
    _length = re.compile(rb"(?i)content-length: *(\d+)")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = self._length.search(head)
        if not end or len(body) < int(length[1] if length else 0):
            return
        self._buffer = b""
        key = self._key.search(head)
        answer = b'{"id":"%b","degraded":[],"ids":["a","b"]}' % (key[1] if key else b"")
        self._transport.write(  # type: ignore[attr-defined]
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(answer), answer)
        )


def serve(core: int, port: multiprocessing.Queue[int]) -> None:
    """Serve on a free port until killed."""
    os.sched_setaffinity(0, {core})

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def cpu_s(pid: int) -> float:
    """User and system seconds of a live process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    """The largest resident set of a live process so far."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def middle(pid: int, length: float, rate: int) -> tuple[float, float]:
    """CPU ms for an operation over `length` s, once the process has settled; and its peak MiB."""
    time.sleep(SETTLE_S)  # what is measured is a stretch of time
    begin, at = cpu_s(pid), time.monotonic()
    time.sleep(length)
    return (cpu_s(pid) - begin) * 1000 / ((time.monotonic() - at) * rate), peak_mib(pid)


def ours(url: str, length: float, core: int, mix: Mix) -> Run:
    """A run of the load client."""
    chat = HttpOperation(
        f="chat",
        rate=mix.writes,
        method="POST",
        urls=(url,),
        path="/chat",
        headers={"Idempotency-Key": "{id}"},
        body={"session": "{session}", "message": "{prompt}"},
        id="{id}",
        ack="id",
        deadline="2s",
    )
    read = HttpOperation(
        f="read",
        rate=mix.reads,
        urls=(url,),
        path="/session/{session}",
        key_from="chat",
        ids_from="ids",
        deadline="2s",
    )
    with tempfile.TemporaryDirectory() as folder:
        load = LoadProcess(LoadPlan(operations=(chat, read)), Path(folder), time.monotonic_ns())
        load.start()
        try:
            assert load.pid is not None
            os.sched_setaffinity(load.pid, {core})
            cpu, memory = middle(load.pid, length, mix.rate)
            load.stop()
        finally:
            load.kill()
        lines = [orjson.loads(line) for line in load.history.read_bytes().splitlines()[1:]]
        size = load.history.stat().st_size
    begun: dict[str, list[float]] = {}
    for line in lines:
        if line["type"] == "invoke":
            begun.setdefault(line["f"], []).append(line["time"] / 1e9)
    done = sum(map(len, begun.values()))
    dropped = sum(line.get("error") == "not-started" for line in lines)
    return Run(cpu, memory, _lags(begun, mix), len(lines) / done, size / done, dropped)


def theirs(url: str, length: float, core: int, mix: Mix, binary: str, record: bool) -> Run:
    """A run of k6."""
    with tempfile.TemporaryDirectory() as folder:
        script, out = Path(folder) / "script.js", Path(folder) / "out.json"
        script.write_text(
            SCRIPT % {"seconds": SETTLE_S + length + 3, "writes": mix.writes, "reads": mix.reads, "url": url}
        )
        argv = [*peers.real_time(), "taskset", "-c", str(core), binary, "run", "--quiet", "--no-usage-report"]
        argv += ["--out", f"json={out}", str(script)] if record else [str(script)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            cpu, memory = middle(process.pid, length, mix.rate)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        told = k6.summary(said)
        done, dropped = int(told["iterations"]), int(told.get("dropped_iterations", 0))
        if not record:
            return Run(cpu, memory, None, 0, 0, dropped)
        written = sum(1 for _ in out.open("rb"))
        return Run(
            cpu, memory, _lags(k6.starts(out), mix), written / done, out.stat().st_size / done, dropped
        )


def _lags(begun: dict[str, list[float]], mix: Mix) -> list[float]:
    rates = {"chat": mix.writes, "read": mix.reads}
    return sorted(1000 * lag for f, starts in begun.items() for lag in start_lags(starts, rates[f]))


def compare(url: str, rate: int, options: argparse.Namespace, cores: list[int]) -> None:
    """All runs at one rate, their medians, and the goals."""
    mix = Mix(rate - rate // 4, rate // 4)
    clients: dict[str, Callable[[], Run]] = {
        "blackstart": lambda: ours(url, options.seconds, cores[0], mix),
    }
    if options.k6:
        clients["k6"] = lambda: theirs(url, options.seconds, cores[0], mix, options.k6, False)
        clients["k6 --out json"] = lambda: theirs(url, options.seconds, cores[0], mix, options.k6, True)
    runs: dict[str, list[Run]] = {name: [] for name in clients}
    for _ in range(options.rounds):
        for name, client in clients.items():
            runs[name].append(client())
            print(f"{rate}/s {name:14} {runs[name][-1]}", flush=True)
    if not options.k6:
        return
    mine, plain, recorded = runs.values()
    cpu = [statistics.median(run.cpu for run in each) for each in (mine, plain)]
    goal(f"CPU for an operation at {rate}/s at most k6's ({cpu[0]:.3f}, {cpu[1]:.3f} ms)", cpu[0] <= cpu[1])
    lag = [nearest_rank(sorted(x for run in each for x in run.lags or ()), 0.99) for each in (mine, recorded)]
    goal(f"start lag p99 at {rate}/s at most k6's ({lag[0]:.2f}, {lag[1]:.2f} ms)", lag[0] <= lag[1])
    memory = [max(run.memory_mib for run in each) for each in (mine, plain)]
    goal(f"memory at {rate}/s at most k6's ({memory[0]:.0f}, {memory[1]:.0f} MiB)", memory[0] <= memory[1])
    lost = sum(run.dropped for run in mine)
    goal(f"nothing dropped at {rate}/s ({lost} of ours)", not lost)


def main() -> int:
    """Print one line a run, then the goals by rate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", type=int, nargs="+", default=[50, 200, 500], help="operations a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured part of a run (default 10)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each (default 2)")
    parser.add_argument("--k6", help="k6's binary (default: from PATH, else built)")
    options = parser.parse_args()
    options.k6 = options.k6 or peers.k6()
    cores = sorted(os.sched_getaffinity(0))
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(cores[-1], port), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{port.get(timeout=10)}"
        print(load_average())
        for rate in options.rates:
            compare(url, rate, options, cores)
    finally:
        server.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
