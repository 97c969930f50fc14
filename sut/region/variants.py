"""Variants of the stack `region` beside those of the sample: weakened ones, for negative controls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from blackstart.faults import edge_down
from blackstart.model.errors import SteadyStateError
from blackstart.model.stack import Variant
from sut.region import settings
from sut.settings import POSTGRES

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: Tells sut/postgres/await-replay.sh not to do what it is there for.
_NO_WAIT = "/var/lib/postgresql/no-await-replay"
#: No longer than the drill may last: the engine's own undo comes first.
_LONG = "10m"


def _waits(waits: bool, running: RunningStack) -> None:
    for name in POSTGRES:
        done = running.exec(name, ["rm", "-f", _NO_WAIT] if waits else ["touch", _NO_WAIT])
        if done.code != 0:
            raise SteadyStateError(f"{name}: {_NO_WAIT}: {done.output.strip()}")


VARIANTS = (
    Variant(
        "second-region-cut-off",
        "what the first region writes has not reached the second for a while",
        faults=(
            edge_down(settings.POSTGRES, settings.FIRST_PROXY, settings.PRIMARY_PORT, max_duration=_LONG),
        ),
        lead="15s",
    ),
    Variant(
        "switch-without-flush",
        "the first region is behind, and takes over without having been waited for",
        apply=partial(_waits, False),
        revert=partial(_waits, True),
        faults=(edge_down("postgres", settings.PROXY, settings.PRIMARY_PORT, max_duration=_LONG),),
        lead="8s",
    ),
)
