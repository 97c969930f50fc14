"""A test process to be killed: watched, it injects faults into a run, says so, and waits for its end."""

from __future__ import annotations

import json
import sys

from blackstart.faults import fault_from_dict
from blackstart.injection.injector import Injector
from blackstart.injection.journal import Journal
from blackstart.injection.watchdog import Watchdog
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.engine import connect
from blackstart.stack.running import RunningStack
from tests import smallstack


def main(run_id: str, remove_stack: str, faults: str) -> None:
    """Inject `faults` (JSON) into the small stack of `run_id`."""
    watchdog = Watchdog.start(run_id, remove_stack=remove_stack == "remove")
    running = RunningStack.find(smallstack.stack, run_id, DockerPlatform(connect()))
    injector = Injector(running, lambda *_, **__: None, Journal(run_id))
    for fault in json.loads(faults):
        injector.inject(fault_from_dict(fault))
    print(watchdog.pid, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
