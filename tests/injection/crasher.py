"""A test process that kills itself at one step of an injection; its watchdog first, where it is told to."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from blackstart.faults import fault_from_dict
from blackstart.injection.injector import Injector
from blackstart.injection.journal import Journal, Step
from blackstart.injection.watchdog import Watchdog
from blackstart.platforms.docker import DockerPlatform
from blackstart.platforms.engine import connect
from blackstart.stack.running import RunningStack
from tests.faults.catalogue import TRIED

#: At these it dies a moment later, in the midst of what the step begins.
AMIDST = {Step.STRIKING: 0.01, Step.UNDOING: 0.01}


def main(run_id: str, fault: str, at: str, orphaned: str) -> None:
    """Inject `fault` (JSON) into its stack, of `run_id`, undo it, and die at step `at` on the way."""
    struck = fault_from_dict(json.loads(fault))
    watchdog = Watchdog.start(run_id, remove_stack=False)
    running = RunningStack.find(TRIED[struck.kind][0], run_id, DockerPlatform(connect()))

    def die() -> None:
        if orphaned == "orphaned":
            os.kill(watchdog.pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    def reached(step: Step) -> None:
        if step != at:
            return
        if step in AMIDST:
            threading.Timer(AMIDST[step], die).start()
        else:
            die()

    injector = Injector(running, lambda *_, **__: None, Journal(run_id), reached=reached)
    injector.inject(struck).undo()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
