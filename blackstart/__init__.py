"""Blackstart: chaos-engineering and disaster-recovery drills for LangChain/LangGraph services.

A drill imports everything it needs from here::

    from blackstart import Control, Objectives, experiment, kill, promoted

Names are resolved on first use, so that importing the pytest plugin loads neither Docker nor Kubernetes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blackstart.drill.declare import experiment
    from blackstart.drill.trial import Drill
    from blackstart.faults import (
        archiving_fails,
        bandwidth_limit,
        cache_flushed,
        clock_drift,
        clock_offset,
        cpu_hog,
        cpu_throttle,
        crash_loop,
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
        freeze,
        instances_lost,
        kill,
        llm_content_filter,
        llm_context_length,
        llm_cut,
        llm_duplicate_chunk,
        llm_embeddings_dimension,
        llm_embeddings_space,
        llm_empty,
        llm_error,
        llm_hang,
        llm_malformed_json,
        llm_malformed_sse,
        llm_malformed_tool_call,
        llm_quota,
        llm_rate_limit,
        llm_refusal,
        llm_slow_first_token,
        llm_slow_tokens,
        llm_unfinished,
        llm_wrong_model,
        memory_hog,
        node_kill,
        packet_corruption,
        packet_delay,
        packet_loss,
        page_corrupted,
        partition,
        postgres_connections,
        redis_connections,
        redis_memory_full,
        replay_paused,
        restart,
        rolling_restart,
        rows_deleted,
        secret_revoked,
        stop,
        suspend,
        switchover,
        table_dropped,
        table_locked,
        zone_lost,
    )
    from blackstart.model.blast import BlastRadius
    from blackstart.model.experiment import Control
    from blackstart.model.objectives import Objectives
    from blackstart.observe.until import promoted
    from blackstart.schedule import Schedule

__version__ = "0.1.0"

#: Where a name is at home; every other is a fault's.
_HOMES = {
    "BlastRadius": "blackstart.model.blast",
    "Control": "blackstart.model.experiment",
    "Drill": "blackstart.drill.trial",
    "Objectives": "blackstart.model.objectives",
    "Schedule": "blackstart.schedule",
    "experiment": "blackstart.drill.declare",
    "promoted": "blackstart.observe.until",
}

__all__ = [
    "BlastRadius",
    "Control",
    "Drill",
    "Objectives",
    "Schedule",
    "archiving_fails",
    "bandwidth_limit",
    "cache_flushed",
    "clock_drift",
    "clock_offset",
    "cpu_hog",
    "cpu_throttle",
    "crash_loop",
    "disk_full",
    "dns_failure",
    "edge_bandwidth",
    "edge_down",
    "edge_flapping",
    "edge_latency",
    "edge_limit_data",
    "edge_reset",
    "edge_slicer",
    "edge_slow_close",
    "edge_timeout",
    "experiment",
    "fds_exhausted",
    "file_corrupted",
    "file_removed",
    "file_replaced",
    "freeze",
    "instances_lost",
    "kill",
    "llm_content_filter",
    "llm_context_length",
    "llm_cut",
    "llm_duplicate_chunk",
    "llm_embeddings_dimension",
    "llm_embeddings_space",
    "llm_empty",
    "llm_error",
    "llm_hang",
    "llm_malformed_json",
    "llm_malformed_sse",
    "llm_malformed_tool_call",
    "llm_quota",
    "llm_rate_limit",
    "llm_refusal",
    "llm_slow_first_token",
    "llm_slow_tokens",
    "llm_unfinished",
    "llm_wrong_model",
    "memory_hog",
    "node_kill",
    "packet_corruption",
    "packet_delay",
    "packet_loss",
    "page_corrupted",
    "partition",
    "postgres_connections",
    "promoted",
    "redis_connections",
    "redis_memory_full",
    "replay_paused",
    "restart",
    "rolling_restart",
    "rows_deleted",
    "secret_revoked",
    "stop",
    "suspend",
    "switchover",
    "table_dropped",
    "table_locked",
    "zone_lost",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'blackstart' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "blackstart.faults")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
