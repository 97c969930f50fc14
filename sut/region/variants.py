"""Variants of the stack `region` beside those of the sample: weakened ones, for negative controls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from blackstart.faults import edge_down
from blackstart.model.errors import SteadyStateError
from blackstart.model.stack import Variant
from sut.region import regions, settings
from sut.settings import POSTGRES

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack

#: Tell await-replay.sh and follow-region of sut/postgres/ not to do what they are there for.
_NO_WAIT = "/var/lib/postgresql/no-await-replay"
_NO_FENCE = "/var/lib/postgresql/no-fence"
#: No longer than the drill may last: the engine's own undo comes first.
_LONG = "10m"


def _flag(path: str, there: bool, instances: tuple[str, ...], running: RunningStack) -> None:
    """Have the instances know an empty file of that path, or not. Raises SteadyStateError."""
    for name in instances:
        done = running.exec(name, ["touch", path] if there else ["rm", "-f", path])
        if done.code != 0:
            raise SteadyStateError(f"{name}: {path}: {done.output.strip()}")


def _fence_again(running: RunningStack) -> None:
    """Two regions that serve do not become one by themselves. Raises HarnessError."""
    regions.reset(running)
    _flag(_NO_FENCE, False, (settings.POSTGRES,), running)


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
        apply=partial(_flag, _NO_WAIT, True, POSTGRES),
        revert=partial(_flag, _NO_WAIT, False, POSTGRES),
        faults=(edge_down("postgres", settings.PROXY, settings.PRIMARY_PORT, max_duration=_LONG),),
        lead="8s",
    ),
    Variant(
        "no-fence",
        "the first region is not told to follow: its nodes come back as what they were",
        apply=partial(_flag, _NO_FENCE, True, (settings.POSTGRES,)),
        revert=_fence_again,
        steady=False,
    ),
)
