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
from blackstart.faults.base import Fault, Platform, Site, Undo  # noqa: E402
from blackstart.faults.edge_down import edge_down  # noqa: E402
from blackstart.faults.edge_latency import edge_latency  # noqa: E402
from blackstart.faults.edge_timeout import edge_timeout  # noqa: E402
from blackstart.faults.freeze import freeze  # noqa: E402
from blackstart.faults.kill import kill  # noqa: E402
from blackstart.faults.llm_error import llm_error  # noqa: E402
from blackstart.faults.switchover import switchover  # noqa: E402

__all__ = [
    "CONSTRUCTORS",
    "REGISTRY",
    "About",
    "Fault",
    "Platform",
    "Site",
    "Undo",
    "about",
    "constructor",
    "edge_down",
    "edge_latency",
    "edge_timeout",
    "fault_from_dict",
    "fault_type",
    "freeze",
    "kill",
    "llm_error",
    "register",
    "switchover",
]
