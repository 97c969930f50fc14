"""A helper at the place of a fault: it takes the fault back when its time is over, whoever else is gone.

It is the last resort after the test process, the watchdog and `heal`: a process in the sidecar that sleeps,
and then runs the command that the fault's record gives for that place.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from blackstart.faults import Platform, Undo
from blackstart.faults._helpers import ending, pattern, starting
from blackstart.faults._inside import shell
from blackstart.model.errors import PlatformError

#: The test process undoes a fault at its maximum duration, the watchdog 10 s later; this much later it ends
#: by itself.
LATE_S = 20.0

_PREFIX = "blackstart-expiry"
_WAIT = 'sleep "$1"; shift; exec "$@"'

# Has the helpers that `$1` finds act now, and names each once it has.
_FIRE = """
command -v pgrep >/dev/null || exit 0
helpers=$(pgrep -f "$1"); i=0
for p in $helpers; do pkill -P "$p" -x sleep; done
for p in $helpers; do
  while [ -n "$(tr -d '\\0' 2>/dev/null <"/proc/$p/cmdline")" ]; do
    [ "$((i += 1))" -le 100 ] || exit; sleep 0.05
  done
  echo "acted $p"
done
"""


def arm(undo: Undo, platform: Platform, after_s: float) -> None:
    """Start the helpers of a fault, one a container; each acts `after_s` seconds from now.

    Raises PlatformError if one cannot be started.
    """
    _each(
        undo,
        platform,
        lambda name: starting(_tag(undo), _WAIT, f"{after_s:.3f}", *undo.expiry[name]),
    )


def disarm(undo: Undo, platform: Platform) -> None:
    """End the helpers; nothing happens where there is none. Raises PlatformError if one is left.

    A container that is down took its helper along.
    """
    _each(undo, platform, lambda name: ending(_tag(undo)))


def fire_all(platform: Platform, container: str) -> int:
    """Have every helper of whatever fault in the container act now; how many did. Raises PlatformError."""
    told = shell(platform, container, _FIRE, pattern(f"{_PREFIX}-")).splitlines()
    return sum(line.startswith("acted ") for line in told)


def _tag(undo: Undo) -> str:
    return f"{_PREFIX}-{undo.id}"


def _each(undo: Undo, platform: Platform, command: Callable[[str], list[str]]) -> None:
    names = list(undo.expiry)
    if not names:
        return

    def run(name: str) -> str | None:
        if not platform.is_running(name):
            return None
        ended = platform.exec(name, command(name))
        return None if ended.code == 0 else f"{name}: {ended.output.strip()[-300:] or f'exit {ended.code}'}"

    with ThreadPoolExecutor(min(16, len(names)), thread_name_prefix="expiry") as pool:
        wrong = [text for text in pool.map(run, names) if text is not None]
    if wrong:
        raise PlatformError(f"the helper that ends {undo.kind} in place: {'; '.join(wrong)}")
