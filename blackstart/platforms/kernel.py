"""What the kernel below a container can do: asked by trying, where no traffic passes."""

from __future__ import annotations

from blackstart.model.errors import PlatformError
from blackstart.platforms.capabilities import Executable

# A pair of interfaces of its own: what the container sends and receives does not notice.
_TRY = """
ip link add blackstart0 type veth peer name blackstart1 || exit 3
tc qdisc add dev blackstart0 root handle 1: "$@"; code=$?
ip link del blackstart0 || exit 3
exit $code
"""
#: What makes a scheduler be taken that has something it cannot do without.
_NEEDS = {"tbf": ("rate", "1mbit", "burst", "16kb", "latency", "100ms")}
_UNKNOWN = "qdisc kind is unknown"


def has_scheduler(platform: Executable, container: str, scheduler: str) -> bool:
    """Whether the kernel has the packet scheduler; needs tc and NET_ADMIN in `container`.

    Raises PlatformError if that cannot be found out.
    """
    tried = platform.exec(container, ["sh", "-c", _TRY, "try", scheduler, *_NEEDS.get(scheduler, ())])
    if tried.code == 0:
        return True
    if _UNKNOWN in tried.output:
        return False
    raise PlatformError(f"{container}: cannot try the scheduler {scheduler}: {tried.output.strip()[-300:]}")
