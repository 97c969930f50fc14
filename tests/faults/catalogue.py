"""One fault of each kind, for tests that go through all kinds."""

from __future__ import annotations

from blackstart.faults import REGISTRY, Fault, edge_down, edge_latency, edge_timeout, freeze, kill

#: Those that the small stack can suffer, by kind.
ON_SMALL: dict[str, Fault] = {
    fault.kind: fault
    for fault in (
        kill("web-1"),
        freeze("web-2"),
        edge_down("web-1", "store-1"),
        edge_latency("web-2", "store-1", latency="200ms"),
        edge_timeout("web-1", "store-1"),
    )
}

#: Those that it cannot, each with the reason, and where it is tried instead.
ELSEWHERE = {
    **{
        kind: "needs a model provider: tests/faults/test_llm.py"
        for kind in REGISTRY
        if kind.startswith("llm_")
    },
    "switchover": "needs Patroni, and has nothing to undo: experiments/test_postgres.py",
}
