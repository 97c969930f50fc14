"""How exactly is an outage measured? Ours, k6's and Chaos Toolkit's error against outages of known length.

    python -m benchmarks.rto_precision [--outages 12] [--rate 200] [--seed 1]

A local server refuses (503) in windows of random length, 0.2 to 2 s, 2 s apart, and notes when each really
began and ended. All three watch it at the same time, ours and k6 at `--rate` requests a second, Chaos
Toolkit by its continuous steady-state hypothesis at its finest, 0.1 s. From each one's own record comes the
length of every outage: for ours the middle of its bounds; for k6 the same from its record of every request;
for Chaos Toolkit from the first failed check to the next good one. The error is against the truth.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import peers
from blackstart.load.operations import HttpOperation, LoadPlan
from blackstart.load.process import LoadProcess
from blackstart.measure.run import measure

LEAD_S, GAP_S = 4.0, 2.0

SCRIPT = """
import http from 'k6/http';
export const options = { scenarios: { get: { executor: 'constant-arrival-rate', rate: %(rate)d,
  timeUnit: '1s', duration: '%(seconds)ds', preAllocatedVUs: 50, maxVUs: 200 } } };
export default function () { http.get('%(url)s', { timeout: '2s' }); }
"""


def windows(count: int, seed: int) -> list[tuple[float, float]]:
    """Begin and end of each outage, seconds after the start."""
    draw, at, found = random.Random(seed), LEAD_S, []
    for _ in range(count):
        length = draw.uniform(0.2, 2.0)
        found.append((at, at + length))
        at += length + GAP_S
    return found


def serve(outages: list[tuple[float, float]], told: multiprocessing.Queue[Any]) -> None:
    """Answer 200, or 503 within the windows, until killed; tells its port, then (begin, end) as they were."""

    async def main() -> None:
        state = {"bad": False}

        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport

            def data_received(self, data: bytes) -> None:
                head = b"503 Service Unavailable" if state["bad"] else b"200 OK"
                for _ in range(data.count(b"\r\n\r\n")):
                    answer = b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}" % head
                    self.transport.write(answer)  # type: ignore[attr-defined]

        loop = asyncio.get_running_loop()
        server = await loop.create_server(Server, "127.0.0.1", 0)
        told.put(server.sockets[0].getsockname()[1])
        start = time.monotonic()
        told.put(start)
        for begin, end in outages:
            await asyncio.sleep(start + begin - time.monotonic())
            state["bad"], began = True, time.monotonic()
            await asyncio.sleep(start + end - time.monotonic())
            state["bad"], ended = False, time.monotonic()
            told.put((began, ended))
        await asyncio.Event().wait()

    asyncio.run(main())


def ours(folder: Path) -> list[float]:
    """The middle of each outage's bounds, seconds."""
    (folder / "events.jsonl").write_text("")
    return [(o["lo_s"] + o["hi_s"]) / 2 for o in measure(folder)["outages"]]


def from_samples(samples: Iterable[tuple[float, float, bool]]) -> list[float]:
    """The same from (sent, answered, ok), in order of sending: each tool is judged by one rule."""
    found, last_good, first_bad, last_bad = [], 0.0, None, 0.0
    for sent, answered, ok in samples:
        if not ok:
            first_bad, last_bad = sent if first_bad is None else first_bad, sent
        else:
            if first_bad is not None:
                found.append(((last_bad - first_bad) + (answered - last_good)) / 2)
                first_bad = None
            last_good = answered
    return found


def k6(record: Path) -> list[float]:
    """From k6's record of every request; its time stamps are those of the answers."""
    samples = []
    for line in record.open():
        point = json.loads(line)
        if point["type"] == "Point" and point["metric"] == "http_req_duration":
            answered = datetime.fromisoformat(_micro(point["data"]["time"])).timestamp()
            took = point["data"]["value"] / 1000
            samples.append((answered - took, answered, point["data"]["tags"]["status"] == "200"))
    return from_samples(sorted(samples))


def _micro(text: str) -> str:
    """A time stamp with at most six digits of a second, which is what Python reads."""
    head, _, rest = text.partition(".")
    digits = "".join(c for c in rest[:9] if c.isdigit())
    zone = rest.lstrip("0123456789") or "+00:00"
    return f"{head}.{digits[:6].ljust(6, '0')}{zone.replace('Z', '+00:00')}"


def chaos_toolkit(journal: Path) -> tuple[list[float], bool]:
    """From the checks in its journal; and whether it says that the system deviated."""
    told = json.loads(journal.read_text())
    checks = []
    for state in told["steady_states"]["during"]:
        probe = state["probes"][-1]
        checks.append((datetime.fromisoformat(probe["end"]).timestamp(), state["steady_state_met"]))
    found, began = [], None
    for at, ok in sorted(checks):
        if not ok and began is None:
            began = at
        elif ok and began is not None:
            found.append(at - began)
            began = None
    return found, bool(told["deviated"])


def experiment(url: str, seconds: float) -> dict[str, Any]:
    """A pause under a continuous hypothesis."""
    probe = {
        "type": "probe",
        "name": "answers",
        "tolerance": 200,
        "provider": {"type": "http", "url": url, "timeout": 2},
    }
    wait = {"type": "process", "path": "sleep", "arguments": f"{seconds:.1f}", "timeout": seconds + 10}
    return {
        "title": "outages",
        "description": "outages of known length",
        "steady-state-hypothesis": {"title": "it answers", "probes": [probe]},
        "method": [{"type": "action", "name": "wait", "provider": wait}],
        "rollbacks": [],
    }


def main() -> int:
    """Print a table; 1 if ours is not at most k6's error, and a tenth of Chaos Toolkit's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--outages", type=int, default=12)
    parser.add_argument("--rate", type=int, default=200, help="requests a second of ours and of k6")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    planned = windows(options.outages, options.seed)
    length = planned[-1][1] + 3
    binary, chaos = peers.k6(), peers.chaos_toolkit()
    told: multiprocessing.Queue[Any] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(planned, told), daemon=True)
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server.start()
        url = f"http://127.0.0.1:{told.get(timeout=10)}/"
        told.get(timeout=10)
        get = HttpOperation(f="get", rate=options.rate, urls=(url.rstrip("/"),), path="/", deadline="2s")
        load = LoadProcess(LoadPlan(operations=(get,)), folder, time.monotonic_ns())
        try:
            load.start()
            if binary:
                script = folder / "script.js"
                script.write_text(SCRIPT % {"rate": options.rate, "seconds": length, "url": url})
                argv = [binary, "run", "--quiet", "--no-usage-report", "--out", f"json={folder}/k6.json"]
                processes.append(subprocess.Popen([*argv, str(script)], stdout=subprocess.DEVNULL))
            if chaos:
                plan = folder / "experiment.json"
                plan.write_text(json.dumps(experiment(url, length - 2)))
                argv = [chaos, "--no-version-check", "--log-file", f"{folder}/chaos.log", "run"]
                argv += ["--journal-path", f"{folder}/journal.json", "--hypothesis-strategy", "continuously"]
                argv += ["--hypothesis-frequency", "0.1", str(plan)]
                processes.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            truth = [e - b for b, e in (told.get(timeout=length + 60) for _ in planned)]
            load.stop()
            for process in processes:
                process.wait(120)
        finally:
            load.kill()
            server.kill()
            for process in processes:
                process.kill()
        found = {"blackstart": ours(folder)}
        if binary:
            found["k6"] = k6(folder / "k6.json")
        note = ""
        if chaos:
            found["Chaos Toolkit"], deviated = chaos_toolkit(folder / "journal.json")
            note = f"; it says that the system {'deviated' if deviated else 'did not deviate'}"
    return report(truth, found, note)


def report(truth: list[float], found: dict[str, list[float]], note: str) -> int:
    """Print errors in ms by tool; the exit status of `main`."""
    print(f"{len(truth)} outages of {min(truth):.2f} to {max(truth):.2f} s")
    means = {}
    for name, lengths in found.items():
        if len(lengths) != len(truth):
            print(f"{name:14} found {len(lengths)} outages{note if name == 'Chaos Toolkit' else ''}")
            continue
        errors = [abs(a - b) * 1000 for a, b in zip(lengths, truth, strict=True)]
        means[name] = statistics.mean(errors)
        tail = note if name == "Chaos Toolkit" else ""
        print(f"{name:14} error mean {means[name]:.2f} ms, max {max(errors):.2f} ms{tail}")
    if "blackstart" not in means:
        return 1
    within = means["blackstart"] <= means.get("k6", float("inf"))
    return int(not (within and 10 * means["blackstart"] <= means.get("Chaos Toolkit", float("inf"))))


if __name__ == "__main__":
    sys.exit(main())
