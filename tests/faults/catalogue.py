"""One fault of each kind, for tests that go through all kinds."""

from __future__ import annotations

from blackstart.faults import (
    REGISTRY,
    Fault,
    archiving_fails,
    bandwidth_limit,
    clock_drift,
    clock_offset,
    cpu_hog,
    cpu_throttle,
    disk_full,
    dns_failure,
    edge_bandwidth,
    edge_down,
    edge_flapping,
    edge_latency,
    edge_limit_data,
    edge_reset,
    edge_slicer,
    edge_slow_close,
    edge_timeout,
    fds_exhausted,
    file_corrupted,
    file_removed,
    file_replaced,
    freeze,
    instances_lost,
    kill,
    llm_error,
    memory_hog,
    node_kill,
    packet_loss,
    partition,
    restart,
    rolling_restart,
    secret_revoked,
    stop,
    suspend,
    zone_lost,
)
from blackstart.model.stack import Stack
from tests import llmstack, smalldatabase, smallstack

#: Those that the small stack can suffer, by kind.
ON_SMALL: dict[str, Fault] = {
    fault.kind: fault
    for fault in (
        kill("web-1"),
        freeze("web-2"),
        stop("web-1", timeout="1s"),
        restart("web-2", timeout="1s"),
        suspend("web-1", "web"),
        node_kill("web-2"),
        instances_lost("web-2"),
        edge_down("web-1", "store-1"),
        edge_latency("web-2", "store-1", latency="200ms"),
        edge_timeout("web-1", "store-1"),
        edge_bandwidth("web-1", "store-1"),
        edge_slow_close("web-1", "store-1", delay="500ms"),
        edge_reset("web-2", "store-1"),
        edge_slicer("web-1", "store-1"),
        edge_limit_data("web-2", "store-1"),
        edge_flapping("web-1", "store-1"),
        partition("web-1", "store-1"),
        packet_loss("web-2", percent=20),
        bandwidth_limit("web-1", "100kB/s"),
        dns_failure("web-2"),
        cpu_throttle("web-1"),
        cpu_hog("web-1", workers=1),
        memory_hog("web-1", victim="web"),
        disk_full("store-1"),
        fds_exhausted("web-1", "web"),
        file_corrupted("web-1", "/usr/lib/os-release"),
        file_removed("web-1", "/etc/debian_v*"),
        file_replaced("web-1", path="/etc/issue", by="/etc/debian_version"),
        clock_offset("web-1"),
        clock_drift("web-1", rate=1),
        zone_lost("b"),
        rolling_restart("web-1", patience="1s"),
    )
}

#: Those that the provider or the database can suffer, one of each way to undo: by a script taken back, a
#: setting put back through the database's container, a role put back through whoever takes writes. Each has a
#: stack of its own to come up, so not all that are undone alike are tried.
ON_OTHERS: dict[str, tuple[Stack, Fault]] = {
    "llm_error": (llmstack.stack, llm_error("llm-1")),
    "archiving_fails": (smalldatabase.stack, archiving_fails("db")),
    "secret_revoked": (smalldatabase.stack, secret_revoked("db", "app")),
}

#: By kind the stack it is tried on, and the fault.
TRIED = {kind: (smallstack.stack, fault) for kind, fault in ON_SMALL.items()} | ON_OTHERS

#: Those that are undone by the very code by which another kind is: tried where all is tried.
LIKE = {
    "edge_bandwidth": "edge_latency",
    "edge_limit_data": "edge_latency",
    "edge_reset": "edge_latency",
    "edge_slicer": "edge_latency",
    "edge_slow_close": "edge_latency",
    "dns_failure": "partition",
    "packet_loss": "partition",
    "file_removed": "file_corrupted",
    "restart": "stop",
}

#: Those that it cannot, each with the reason, and where it is tried instead.
ELSEWHERE = {
    **{
        kind: "is undone by the very code by which llm_error is: tests/faults/test_llm.py"
        for kind in REGISTRY
        if kind.startswith("llm_") and kind != "llm_error"
    },
    "crash_loop": "needs a process with a supervisor: tests/faults/test_processes_on_small_stack.py",
    "packet_corruption": "needs a kernel with netem: tests/faults/test_network_on_small_stack.py",
    "packet_delay": "needs a kernel with netem: tests/faults/test_network_on_small_stack.py",
    "cache_flushed": "has nothing to undo: tests/faults/test_data.py",
    "page_corrupted": "needs a Postgres, and has nothing to undo: tests/faults/test_data.py",
    "postgres_connections": "is undone as cpu_hog is, by ending its holder: tests/faults/test_resources.py",
    "redis_connections": "takes ten thousand connections there: tests/faults/test_resources.py",
    "redis_memory_full": "evicts what others need: tests/faults/test_data.py",
    "replay_paused": "needs a standby, which the sample has: experiments/test_postgres.py",
    "rows_deleted": "needs a Postgres, and has nothing to undo: tests/faults/test_data.py",
    "switchover": "needs Patroni, and has nothing to undo: experiments/test_postgres.py",
    "table_dropped": "needs a Postgres, and has nothing to undo: tests/faults/test_data.py",
    "table_locked": "is undone as cpu_hog is, by ending its holder: tests/faults/test_data.py",
}
