"""Every exception that Blackstart raises.

BlackstartError
├── HarnessError            the harness could not do its work: pytest *error*, exit 3
│   ├── ConfigError         a name, parameter or declaration is wrong; the message lists what is valid
│   │   └── ScheduleError   a schedule is wrong (file, line, field, what is wrong)
│   ├── PlatformError       the container platform refused or is gone
│   │   └── CapabilityMissing   the platform cannot do this: the drill skips with the reason
│   ├── ImageError          an image could not be found or built; carries the build's last lines
│   ├── ProvisionError      the stack did not come up; carries the last log lines of what failed
│   ├── SteadyStateError    the stack is up but not in its steady state within the limit
│   ├── ToxiproxyError      a Toxiproxy answered anything but 2xx, or did not answer
│   ├── InjectionError      a fault could not be injected
│   ├── BiteError           a fault was injected but its effect was not seen: the trial is unknown
│   ├── UndoError           a fault could not be undone; carries the manual command
│   ├── LoadError           the load client died or never became clean
│   ├── LockHeld            another run is using the stack
│   └── EvidenceError       a run's files are unusable (file, line, what is wrong)
└── HypothesisFailed        the system did not behave as the hypothesis says: pytest *failed*
    └── RunbookFailed       a step of a runbook did not end as it must
"""

from __future__ import annotations


class BlackstartError(Exception):
    """Root of all errors raised by Blackstart."""


class HarnessError(BlackstartError):
    """The harness, not the system under test, is in trouble."""


class ConfigError(HarnessError):
    """A declaration, name or parameter is wrong."""


class ScheduleError(ConfigError):
    """A schedule is wrong.

    `at` is the path of the field, as `("actions", 2, "fault")`. Shown as
    `<file>: line <n>: actions[2].fault: <what is wrong>`, as far as each is known.
    """

    def __init__(
        self, what: str, at: tuple[str | int, ...] = (), file: str | None = None, line: int | None = None
    ) -> None:
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in at).removeprefix(".")
        known = (file, f"line {line}" if line is not None else None, path, what)
        super().__init__(": ".join(part for part in known if part))
        self.what, self.at = what, at


class PlatformError(HarnessError):
    """The platform refused an action or cannot be reached."""


class CapabilityMissing(PlatformError):
    """The platform lacks a capability that a fault needs."""


class ImageError(HarnessError):
    """An image could not be found, pulled or built."""


class ProvisionError(HarnessError):
    """A stack could not be brought up."""


class SteadyStateError(HarnessError):
    """A stack did not reach its steady state in time."""


class ToxiproxyError(HarnessError):
    """A Toxiproxy server refused a request or did not answer."""


class InjectionError(HarnessError):
    """A fault could not be injected."""


class BiteError(HarnessError):
    """A fault is in force but its effect was not seen."""


class UndoError(HarnessError):
    """A fault could not be undone.

    `manual` is the exact shell command that a person can run instead.
    """

    def __init__(self, message: str, manual: str = "") -> None:
        super().__init__(f"{message}\n  undo by hand: {manual}" if manual else message)
        self.manual = manual


class LoadError(HarnessError):
    """The load client failed."""


class LockHeld(HarnessError):
    """Another live run holds the lock of the stack."""


class EvidenceError(HarnessError):
    """A history or events file is unusable.

    Shown as `<file>: line <n>: <what is wrong>`; without the line where none is at fault.
    """

    def __init__(self, file: str, what: str, line: int | None = None) -> None:
        super().__init__(f"{file}: line {line}: {what}" if line is not None else f"{file}: {what}")
        self.file, self.what, self.line = file, what, line


class HypothesisFailed(BlackstartError, AssertionError):
    """The system under test did not behave as the experiment's hypothesis says."""


class RunbookFailed(HypothesisFailed):
    """A step of a runbook did not end as it must: it failed, or it did not fail where it had to."""
