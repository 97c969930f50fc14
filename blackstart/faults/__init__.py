"""The faults. Every module of this package is imported, so a new fault needs a file of its own, no more.

The constructors of the built-in ones are named here for drills and editors.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

# After the loop: importing the submodule `kill` binds that name here to the module.
from blackstart.faults._about import About, about  # noqa: E402
from blackstart.faults._registry import (  # noqa: E402
    CONSTRUCTORS,
    REGISTRY,
    constructor,
    fault_from_dict,
    fault_type,
    register,
)
from blackstart.faults.archiving_fails import archiving_fails  # noqa: E402
from blackstart.faults.bandwidth_limit import bandwidth_limit  # noqa: E402
from blackstart.faults.base import Fault, Platform, Site, Undo  # noqa: E402
from blackstart.faults.cache_flushed import cache_flushed  # noqa: E402
from blackstart.faults.clock_drift import clock_drift  # noqa: E402
from blackstart.faults.clock_offset import clock_offset  # noqa: E402
from blackstart.faults.cpu_hog import cpu_hog  # noqa: E402
from blackstart.faults.cpu_throttle import cpu_throttle  # noqa: E402
from blackstart.faults.crash_loop import crash_loop  # noqa: E402
from blackstart.faults.disk_full import disk_full  # noqa: E402
from blackstart.faults.dns_failure import dns_failure  # noqa: E402
from blackstart.faults.edge_bandwidth import edge_bandwidth  # noqa: E402
from blackstart.faults.edge_down import edge_down  # noqa: E402
from blackstart.faults.edge_flapping import edge_flapping  # noqa: E402
from blackstart.faults.edge_latency import edge_latency  # noqa: E402
from blackstart.faults.edge_limit_data import edge_limit_data  # noqa: E402
from blackstart.faults.edge_reset import edge_reset  # noqa: E402
from blackstart.faults.edge_slicer import edge_slicer  # noqa: E402
from blackstart.faults.edge_slow_close import edge_slow_close  # noqa: E402
from blackstart.faults.edge_timeout import edge_timeout  # noqa: E402
from blackstart.faults.fds_exhausted import fds_exhausted  # noqa: E402
from blackstart.faults.file_corrupted import file_corrupted  # noqa: E402
from blackstart.faults.file_removed import file_removed  # noqa: E402
from blackstart.faults.file_replaced import file_replaced  # noqa: E402
from blackstart.faults.freeze import freeze  # noqa: E402
from blackstart.faults.instances_lost import instances_lost  # noqa: E402
from blackstart.faults.kill import kill  # noqa: E402
from blackstart.faults.llm_content_filter import llm_content_filter  # noqa: E402
from blackstart.faults.llm_context_length import llm_context_length  # noqa: E402
from blackstart.faults.llm_cut import llm_cut  # noqa: E402
from blackstart.faults.llm_duplicate_chunk import llm_duplicate_chunk  # noqa: E402
from blackstart.faults.llm_embeddings_dimension import llm_embeddings_dimension  # noqa: E402
from blackstart.faults.llm_embeddings_space import llm_embeddings_space  # noqa: E402
from blackstart.faults.llm_empty import llm_empty  # noqa: E402
from blackstart.faults.llm_error import llm_error  # noqa: E402
from blackstart.faults.llm_hang import llm_hang  # noqa: E402
from blackstart.faults.llm_malformed_json import llm_malformed_json  # noqa: E402
from blackstart.faults.llm_malformed_sse import llm_malformed_sse  # noqa: E402
from blackstart.faults.llm_malformed_tool_call import llm_malformed_tool_call  # noqa: E402
from blackstart.faults.llm_quota import llm_quota  # noqa: E402
from blackstart.faults.llm_rate_limit import llm_rate_limit  # noqa: E402
from blackstart.faults.llm_refusal import llm_refusal  # noqa: E402
from blackstart.faults.llm_slow_first_token import llm_slow_first_token  # noqa: E402
from blackstart.faults.llm_slow_tokens import llm_slow_tokens  # noqa: E402
from blackstart.faults.llm_unfinished import llm_unfinished  # noqa: E402
from blackstart.faults.llm_wrong_model import llm_wrong_model  # noqa: E402
from blackstart.faults.memory_hog import memory_hog  # noqa: E402
from blackstart.faults.node_kill import node_kill  # noqa: E402
from blackstart.faults.packet_corruption import packet_corruption  # noqa: E402
from blackstart.faults.packet_delay import packet_delay  # noqa: E402
from blackstart.faults.packet_loss import packet_loss  # noqa: E402
from blackstart.faults.page_corrupted import page_corrupted  # noqa: E402
from blackstart.faults.partition import partition  # noqa: E402
from blackstart.faults.postgres_connections import postgres_connections  # noqa: E402
from blackstart.faults.redis_connections import redis_connections  # noqa: E402
from blackstart.faults.redis_memory_full import redis_memory_full  # noqa: E402
from blackstart.faults.replay_paused import replay_paused  # noqa: E402
from blackstart.faults.restart import restart  # noqa: E402
from blackstart.faults.rolling_restart import rolling_restart  # noqa: E402
from blackstart.faults.rows_deleted import rows_deleted  # noqa: E402
from blackstart.faults.secret_revoked import secret_revoked  # noqa: E402
from blackstart.faults.stop import stop  # noqa: E402
from blackstart.faults.suspend import suspend  # noqa: E402
from blackstart.faults.switchover import switchover  # noqa: E402
from blackstart.faults.table_dropped import table_dropped  # noqa: E402
from blackstart.faults.table_locked import table_locked  # noqa: E402
from blackstart.faults.zone_lost import zone_lost  # noqa: E402

__all__ = [
    "CONSTRUCTORS",
    "REGISTRY",
    "About",
    "Fault",
    "Platform",
    "Site",
    "Undo",
    "about",
    "archiving_fails",
    "bandwidth_limit",
    "cache_flushed",
    "clock_drift",
    "clock_offset",
    "constructor",
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
    "fault_from_dict",
    "fault_type",
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
    "redis_connections",
    "redis_memory_full",
    "register",
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
