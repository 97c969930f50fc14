"""A helper: a process that a fault leaves at its place, which needs nobody on the harness's side."""

from __future__ import annotations

from collections.abc import Sequence

from blackstart.faults.base import Platform
from blackstart.model.errors import PlatformError

#: What every helper's tag begins with.
PREFIX = "blackstart-helper"

# In a session of its own, so that it can be ended together with what it started. Without what the image has
# every process load, which may wait for the parent that ends here: libfaketime does, once in a hundred times.
_START = """
unset LD_PRELOAD
setsid "$@" </dev/null >/dev/null 2>&1 &
"""
#: Ends what `$1` finds, with its session or before it has one; fails if one is left. One that was just killed
#: is still to be seen for a moment.
END = """for p in $(pgrep -f "$1"); do kill -KILL "-$p" "$p" 2>/dev/null; done; i=0
until ! pgrep -f "$1" || [ "$((i += 1))" -gt 40 ]; do sleep 0.05; done; [ "$i" -le 40 ]"""


def tagged(kind: str, id: str) -> str:
    """The tag of the helper of a fault of that kind; `id` is the injection's."""
    return f"{PREFIX}-{kind}-{id}"


def launching(*command: str) -> list[str]:
    """The command that starts `command` as a helper; one of its words must be the helper's tag."""
    return ["sh", "-c", _START, "sh", *command]


def starting(tag: str, script: str, *args: str, shell: str = "sh") -> list[str]:
    """The command that starts a helper called `tag`: a script for `shell`, its arguments."""
    return launching(shell, "-c", script, tag, *args)


def ending(tag: str) -> list[str]:
    """The command that ends the helper called `tag`, if there is one; it fails if one is left."""
    return ["sh", "-c", END, "sh", pattern(tag)]


def ending_before(tag: str, command: Sequence[str]) -> list[str]:
    """The command that ends the helper called `tag` and then becomes `command`."""
    return ["sh", "-c", f'({END}); shift; exec "$@"', "sh", pattern(tag), *command]


def pattern(tag: str) -> str:
    """For `pgrep -f`: what finds the helper, and not the command line of whoever looks for it."""
    return f"[{tag[0]}]{tag[1:]}"


def there(platform: Platform, container: str, tag: str) -> bool:
    """Whether the helper called `tag` runs in `container`. Raises PlatformError."""
    return platform.exec(container, ["pgrep", "-f", pattern(tag)]).code == 0


def end(platform: Platform, container: str, tag: str) -> None:
    """End the helper called `tag`; nothing happens where there is none. Raises PlatformError."""
    ended = platform.exec(container, ending(tag))
    if ended.code != 0:
        raise PlatformError(f"{container}: {tag} does not end: {ended.output.strip()[-300:]}")


def end_all(platform: Platform, container: str) -> None:
    """End the helpers of whatever fault. Raises PlatformError."""
    end(platform, container, f"{PREFIX}-")
