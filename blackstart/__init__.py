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
        bandwidth_limit,
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
        freeze,
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
        partition,
        postgres_connections,
        redis_connections,
        restart,
        stop,
        suspend,
        switchover,
    )
    from blackstart.model.blast import BlastRadius
    from blackstart.model.experiment import Control
    from blackstart.model.objectives import Objectives
    from blackstart.observe.until import promoted
    from blackstart.schedule import Schedule

__version__ = "0.1.0"

_HOMES = {
    "BlastRadius": "blackstart.model.blast",
    "Control": "blackstart.model.experiment",
    "Drill": "blackstart.drill.trial",
    "Objectives": "blackstart.model.objectives",
    "Schedule": "blackstart.schedule",
    "bandwidth_limit": "blackstart.faults",
    "clock_drift": "blackstart.faults",
    "clock_offset": "blackstart.faults",
    "cpu_hog": "blackstart.faults",
    "cpu_throttle": "blackstart.faults",
    "crash_loop": "blackstart.faults",
    "disk_full": "blackstart.faults",
    "dns_failure": "blackstart.faults",
    "edge_bandwidth": "blackstart.faults",
    "edge_down": "blackstart.faults",
    "edge_flapping": "blackstart.faults",
    "edge_latency": "blackstart.faults",
    "edge_limit_data": "blackstart.faults",
    "edge_reset": "blackstart.faults",
    "edge_slicer": "blackstart.faults",
    "edge_slow_close": "blackstart.faults",
    "edge_timeout": "blackstart.faults",
    "experiment": "blackstart.drill.declare",
    "fds_exhausted": "blackstart.faults",
    "freeze": "blackstart.faults",
    "kill": "blackstart.faults",
    "llm_content_filter": "blackstart.faults",
    "llm_context_length": "blackstart.faults",
    "llm_cut": "blackstart.faults",
    "llm_duplicate_chunk": "blackstart.faults",
    "llm_embeddings_dimension": "blackstart.faults",
    "llm_embeddings_space": "blackstart.faults",
    "llm_empty": "blackstart.faults",
    "llm_error": "blackstart.faults",
    "llm_hang": "blackstart.faults",
    "llm_malformed_json": "blackstart.faults",
    "llm_malformed_sse": "blackstart.faults",
    "llm_malformed_tool_call": "blackstart.faults",
    "llm_quota": "blackstart.faults",
    "llm_rate_limit": "blackstart.faults",
    "llm_refusal": "blackstart.faults",
    "llm_slow_first_token": "blackstart.faults",
    "llm_slow_tokens": "blackstart.faults",
    "llm_unfinished": "blackstart.faults",
    "llm_wrong_model": "blackstart.faults",
    "memory_hog": "blackstart.faults",
    "node_kill": "blackstart.faults",
    "packet_corruption": "blackstart.faults",
    "packet_delay": "blackstart.faults",
    "packet_loss": "blackstart.faults",
    "partition": "blackstart.faults",
    "postgres_connections": "blackstart.faults",
    "promoted": "blackstart.observe.until",
    "redis_connections": "blackstart.faults",
    "restart": "blackstart.faults",
    "stop": "blackstart.faults",
    "suspend": "blackstart.faults",
    "switchover": "blackstart.faults",
}

__all__ = [
    "BlastRadius",
    "Control",
    "Drill",
    "Objectives",
    "Schedule",
    "bandwidth_limit",
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
    "freeze",
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
    "partition",
    "postgres_connections",
    "promoted",
    "redis_connections",
    "restart",
    "stop",
    "suspend",
    "switchover",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'blackstart' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
