"""Schedules and faults for tests: one of every kind of action, and a fault of every kind there is."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from hypothesis import strategies as st

from blackstart.faults import REGISTRY, Fault, edge_latency, fault_from_dict, freeze, kill
from blackstart.schedule import (
    Action,
    Schedule,
    inject,
    parallel,
    ramp,
    repeat,
    sequence,
    swizzle,
    undo,
    wait,
)

DEAD, FROZEN = kill("app-1"), freeze("pg-2")
SLOW = edge_latency("app-1", "pg-1")

#: Every kind of action, nested.
ALL = Schedule(
    (
        inject(DEAD, "dead"),
        wait("1s"),
        undo("dead"),
        parallel(
            sequence(inject(DEAD, "dead"), wait("2s"), undo("dead")),
            sequence(wait("500ms"), ramp(SLOW, "slow", "latency", "100ms", "400ms", 4, "4s"), undo("slow")),
        ),
        repeat(2, inject(FROZEN, "frozen"), wait("1s", jitter="500ms"), undo("frozen")),
        swizzle({"a": DEAD, "b": FROZEN, "c": SLOW}, gap="1s", jitter="250ms"),
        wait("3s"),
    ),
    seed=7,
)

#: By type; "app" will do for a target as well as for a table.
_EXAMPLES = {"str": "app", "int": 1, "float": 0.5, "bool": True, "Duration": "1s"}
#: By name, where it will not.
_NAMED = {"path": "/etc/app.conf", "by": "/etc/app.conf.new"}


def example(kind: str) -> Fault:
    """A fault of this kind, with an example for whatever has no default."""
    needed = (f for f in fields(REGISTRY[kind]) if f.default is MISSING and f.default_factory is MISSING)
    told: dict[str, Any] = {f.name: _NAMED.get(f.name, _EXAMPLES[str(f.type)]) for f in needed}
    return fault_from_dict({"kind": kind, **told})


_names = st.text(min_size=1, max_size=8).filter(str.strip)
_durations = st.one_of(
    st.integers(0, 3600),
    st.floats(0, 3600, allow_nan=False),
    st.builds("{}{}".format, st.integers(0, 90), st.sampled_from(["ms", "s"])),
)
_faults = st.sampled_from(sorted(REGISTRY)).map(example)


def _around(inner: st.SearchStrategy[Action]) -> st.SearchStrategy[Action]:
    several = st.lists(inner, max_size=3)
    return st.one_of(
        several.map(lambda actions: sequence(*actions)),
        several.map(lambda actions: parallel(*actions)),
        st.builds(repeat, st.integers(1, 3), inner),
    )


#: Any action; most cannot be put into a schedule, for their names clash.
actions = st.recursive(
    st.one_of(
        st.builds(inject, _faults, _names),
        st.builds(undo, _names),
        st.builds(wait, _durations),
        st.builds(swizzle, st.dictionaries(_names, _faults, min_size=1, max_size=3), _durations),
        st.builds(
            ramp,
            st.just(SLOW),
            _names,
            st.just("latency"),
            st.sampled_from(["100ms", 0.5, 1]),
            st.sampled_from(["2s", 3, 1.25]),
            st.integers(2, 5),
            _durations,
        ),
    ),
    _around,
    max_leaves=8,
)
