"""The small stack with load and a variant that forgets: what a drill needs beyond instances.

And others, to run in turn: one with an instance more, and one that no machine has room for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from blackstart.load.operations import HttpOperation, LoadPlan
from blackstart.model.stack import Variant
from blackstart.stack.running import RunningStack
from tests import smallstack


def load(running: RunningStack) -> LoadPlan:
    """Ledger writes through both web instances, read back from the store at the end."""
    urls = tuple(running.url(name, "http") for name in ("web-1", "web-2"))
    write = HttpOperation(
        f="write",
        rate=20,
        method="POST",
        urls=urls,
        path="/write",
        body={"key": "{session}", "id": "{id}"},
        id="{id}",
        ack="id",
        keys=80,
        deadline="2s",
    )
    read = HttpOperation(f="read-final", urls=urls, path="/read/{session}", ids_from="ids", key_from="write")
    return LoadPlan(operations=(write,), closing=(read,))


def _append_only(value: str) -> Callable[[RunningStack], None]:
    def apply(running: RunningStack) -> None:
        running.exec("store-1", ["redis-cli", "config", "set", "appendonly", value])

    return apply


stack = replace(
    smallstack.stack,
    name="small-project",
    load=load,
    variants=(
        Variant(
            "no-persistence",
            "the store acknowledges writes that it does not keep",
            apply=_append_only("no"),
            revert=_append_only("yes"),
        ),
    ),
)

wider = replace(stack, name="wider", instances=(*stack.instances, smallstack.web("web-3", "c")))
vast = replace(stack, name="vast", memory_mib=1 << 30)
