"""The load client against k6: CPU per operation and start lag at 200 operations/s on one core.

    python -m benchmarks.load_client [--k6 PATH] [--seconds 20] [--rounds 3]

Both send the same requests (150 POSTs with a unique prompt, 50 GETs a second, open loop) to the same server,
in turn, pinned to one core; the server runs on another. CPU is user + system time of the whole process over
the middle of the run, so start-up counts for neither. Ours records every operation on disk as it always does;
k6 runs once with only its summary and once with its own record of every request (`--out json`).
k6 is taken from PATH or built with Go; without either only our figures are shown.
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
from pathlib import Path

import orjson

from benchmarks import peers
from blackstart.load.meter import nearest_rank
from blackstart.load.operations import HttpOperation, LoadPlan
from blackstart.load.process import LoadProcess

WRITES, READS = 150, 50
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


def middle(pid: int, length: float) -> float:
    """CPU ms per operation over `length` s, once the process has settled."""
    time.sleep(SETTLE_S)
    begin, at = cpu_s(pid), time.monotonic()
    time.sleep(length)
    return (cpu_s(pid) - begin) * 1000 / ((time.monotonic() - at) * (WRITES + READS))


def ours(url: str, length: float, core: int) -> tuple[float, str]:
    """CPU ms per operation of the load client, and its start lag."""
    chat = HttpOperation(
        f="chat",
        rate=WRITES,
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
        rate=READS,
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
            cpu = middle(load.pid, length)
            load.stop()
        finally:
            load.kill()
        lags, ends = [], {"ok": 0, "fail": 0, "info": 0}
        for line in map(orjson.loads, load.history.read_bytes().splitlines()[1:]):
            if line["type"] == "invoke":
                lags.append((line["time"] - line["intended"]) / 1e6)
            else:
                ends[line["type"]] += 1
    lags.sort()
    lag = f"start lag p99 {nearest_rank(lags, 0.99):.2f} ms, max {lags[-1]:.2f} ms"
    return cpu, f"{lag}; {len(lags)} operations, {ends['ok']} ok, {ends['fail'] + ends['info']} not"


def k6(url: str, length: float, core: int, binary: str, record: bool) -> tuple[float, str]:
    """CPU ms per operation of k6, and what it dropped."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.js"
        whole = SETTLE_S + length + 3
        script.write_text(SCRIPT % {"seconds": whole, "writes": WRITES, "reads": READS, "url": url})
        argv = [binary, "run", "--quiet", "--no-usage-report", str(script)]
        if record:
            argv[2:2] = ["--out", f"json={folder}/out.json"]
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            cpu = middle(process.pid, length)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    found = re.findall(r"^\s*(iterations|dropped_iterations|http_req_failed)\.*: *(\S+)", said, re.MULTILINE)
    return cpu, ", ".join(f"{name} {value}" for name, value in found) or said[-300:]


def main() -> int:
    """Print one line per run, then the medians; 1 if ours costs more or is late."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--k6", default=peers.k6(), help="k6's binary (default: from PATH, else built)")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured part of a run (default 20)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default 3)")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(cores[-1], port), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port.get(timeout=10)}"
    clients: dict[str, Callable[[], tuple[float, str]]] = {
        "blackstart": lambda: ours(url, options.seconds, cores[0])
    }
    if options.k6:
        clients["k6"] = lambda: k6(url, options.seconds, cores[0], options.k6, False)
        clients["k6 --out json"] = lambda: k6(url, options.seconds, cores[0], options.k6, True)
    results: dict[str, list[float]] = {name: [] for name in clients}
    try:
        for _ in range(options.rounds):
            for name, run in clients.items():
                cpu, note = run()
                results[name].append(cpu)
                print(f"{name:14} {cpu:.3f} ms CPU/operation  ({note})", flush=True)
    finally:
        server.kill()
    medians = {name: statistics.median(values) for name, values in results.items()}
    print("median:", ", ".join(f"{name} {value:.3f} ms" for name, value in medians.items()))
    return int("k6" in medians and medians["blackstart"] > medians["k6"])


if __name__ == "__main__":
    sys.exit(main())
