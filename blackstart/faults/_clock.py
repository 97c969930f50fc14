"""What the faults on clocks share: which file tells a service's processes what time it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from blackstart.faults import _helpers
from blackstart.faults._containers import containers, on_each
from blackstart.faults._inside import by_hand, shell
from blackstart.faults.base import Fault, Platform, Site, Undo, fresh_id
from blackstart.model.durations import Duration, seconds
from blackstart.model.errors import ConfigError, InjectionError

# Each process of the service (the session of init's first child): its name, whether the library is mapped,
# and its variables for it. As the process's own user: another's needs a capability that containers lack.
_READ = r"""
first=$(pgrep -o -P 1 || echo 1)
for p in $(pgrep -s "$(ps -o sid= -p "$first" | tr -d ' ')"); do
  [ "$p" != 1 ] || [ "$first" = 1 ] || continue
  as() { setpriv --reuid="$(stat -c %u "/proc/$p")" --regid="$(stat -c %g "/proc/$p")" --clear-groups "$@"; }
  if as grep -q libfaketime "/proc/$p/maps" 2>/dev/null; then has=yes; else has=no; fi
  echo "process $(cat "/proc/$p/comm") $has"
  as cat "/proc/$p/environ" 2>/dev/null | tr '\0' '\n' | grep -E '^(LD_PRELOAD|(NO|DONT)?_?FAKE[A-Z_]*)='
done; :
"""
# The file is replaced as a whole: a reader must not find it empty.
SET = 'set_to() { echo "$2" >"$1.new" && chmod 644 "$1.new" && mv "$1.new" "$1"; }; '
_RESET = SET + _helpers.END + '; set_to "$2" +0'
_OFFSET = 'cat "$1" 2>/dev/null || echo +0'
# Wall time for whoever follows the file, and for who does not.
_COMPARE = 'env "$@" date +%s.%N; env -u LD_PRELOAD date +%s.%N'


@dataclass(frozen=True)
class ClockFault(Fault):
    """The wall clock of the service of each `target` is wrong; its monotonic clock is not.

    The service must run with libfaketime preloaded, `FAKETIME_TIMESTAMP_FILE` naming a file that need not be
    there and `DONT_FAKE_MONOTONIC=1`; `FAKETIME_NO_CACHE=1` has it follow at once, else it follows within
    `FAKETIME_CACHE_DURATION` seconds (10). A static binary cannot be fooled, and is refused.
    """

    capabilities: ClassVar[tuple[str, ...]] = ("exec", "kill")
    expires_in_place: ClassVar[bool] = True
    persistent: ClassVar[bool] = True

    target: str

    def plan(self, site: Site) -> Undo:
        """InjectionError names a process that takes its time elsewhere; or if the clock is wrong already."""
        id = fresh_id()
        names = containers(site, self.target)
        clocks = {name: _clock(site.platform, name) for name in names}
        tag = _helpers.tagged(self.kind, id)
        ending = {
            name: ["sh", "-c", _RESET, "sh", _helpers.pattern(tag), clock["FAKETIME_TIMESTAMP_FILE"]]
            for name, clock in clocks.items()
        }
        manual = by_hand(ending)
        data = {"tag": tag, "clocks": clocks}
        return Undo(self.kind, site.run_id, names, data, manual, ending, id)

    @abstractmethod
    def inject(self, site: Site, undo: Undo) -> None:
        """See Fault.inject."""

    @classmethod
    def undo(cls, undo: Undo, platform: Platform) -> None:
        """Set the clock right again; start a container that is down first."""
        clocks = undo.data["clocks"]

        def reset(name: str) -> None:
            platform.start(name)
            words = _helpers.pattern(undo.data["tag"]), clocks[name]["FAKETIME_TIMESTAMP_FILE"]
            shell(platform, name, _RESET, *words)

        on_each(clocks, reset)

    @classmethod
    def undone(cls, undo: Undo, platform: Platform) -> str | None:
        """The file says so, and the clocks agree."""
        for name, clock in undo.data["clocks"].items():
            if (said := shell(platform, name, _OFFSET, clock["FAKETIME_TIMESTAMP_FILE"])) != "+0":
                return f"{name}: the clock is still set to {said}"
            if abs(off := off_by(platform, name, clock)) > 0.5:
                return f"{name}: the clock is still {off:+.1f} s off"
        return None


def off_by(platform: Platform, name: str, clock: Mapping[str, str]) -> float:
    """How many seconds the wall clock of what follows the file is ahead of the kernel's."""
    words = [f"{key}={value}" for key, value in clock.items()]
    ours, kernels = shell(platform, name, _COMPARE, *words).split()
    return float(ours) - float(kernels)


def signed(value: Duration) -> float:
    """Seconds, as `seconds` reads them, with a sign in front if need be: "-90s", "+1h", -5."""
    if isinstance(value, str):
        bare = value.strip()
        return -seconds(bare[1:]) if bare.startswith("-") else seconds(bare.removeprefix("+"))
    return -seconds(-value) if value < 0 else seconds(value)


def _clock(platform: Platform, name: str) -> dict[str, Any]:
    """The variables by which the service of a container is told the time."""
    found: dict[str, str] = {}
    for line in shell(platform, name, _READ).splitlines():
        if line.startswith("process "):
            process, has = line.removeprefix("process ").rsplit(" ", 1)
            if has != "yes":
                raise InjectionError(
                    f"{name}: {process} does not have libfaketime loaded (a static binary never has): "
                    "its clock cannot be set"
                )
        else:
            found.setdefault(*line.split("=", 1))
    file = found.get("FAKETIME_TIMESTAMP_FILE")
    if not file:
        raise InjectionError(f"{name}: FAKETIME_TIMESTAMP_FILE is not set: nothing tells it the time")
    if "1" not in (found.get("DONT_FAKE_MONOTONIC"), found.get("FAKETIME_DONT_FAKE_MONOTONIC")):
        raise InjectionError(f"{name}: without DONT_FAKE_MONOTONIC=1 its monotonic clock would move as well")
    if (said := shell(platform, name, _OFFSET, file)) != "+0":
        raise InjectionError(f"{name}: its clock is set to {said} already")
    return found


def checked(value: float, limit: float, what: str) -> None:
    """ConfigError unless 0 < |value| <= limit."""
    if not 0 < abs(value) <= limit:
        raise ConfigError(f"{what} {value:g}: valid are up to {limit:g} either way, and not 0")
