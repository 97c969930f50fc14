"""Patroni's dynamic configuration, which every node reads from etcd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from blackstart.model.errors import SteadyStateError
from blackstart.platforms.waiting import wait_until
from sut.settings import POSTGRES

if TYPE_CHECKING:
    from blackstart.stack.running import RunningStack


def configure(running: RunningStack, settings: dict[str, Any], limit: str = "30s") -> None:
    """Change it through any node that answers, and see that it was taken. Raises SteadyStateError.

    The nodes adopt it within their next loop.
    """

    def taken() -> str | None:
        told = "no node answers"
        for name in POSTGRES:
            try:
                answer = requests.patch(running.url(name, "patroni", "/config"), json=settings, timeout=5)
            except requests.RequestException:
                continue
            if answer.ok and settings.items() <= answer.json().items():
                return None
            told = f"{name} answers {answer.status_code}: {answer.text[:200]}"
        return told

    wait_until(f"Patroni with {settings}", taken, limit=limit, error=SteadyStateError)
