"""The settings in force of the stack `region`: the sample's, and which region serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from sut import conditions
from sut import configuration as sample
from sut.region import settings
from sut.region.conditions import primaries

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack


def configuration(running: RunningStack) -> dict[str, Any]:
    """Settings by component. What cannot be asked now is named with the reason instead."""
    found = sample.configuration(running)
    found["primary"] = primaries(running)
    try:
        told = conditions.get(running.url(settings.POSTGRES, "patroni", "/config"))
        found["patroni of the second region"] = told.json()
    except requests.RequestException as error:
        found["patroni of the second region"] = f"unknown: {error}"
    return found
