"""One bounded GET, on a connection of its own.

Keep-alive would report the death of an old connection as the death of its server.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache

import urllib3

#: What a probe of a server that is dead, frozen, cut off or talking nonsense may raise.
UNREACHABLE = (urllib3.exceptions.HTTPError, OSError, ValueError)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `date` is the server's wall clock in epoch seconds, whole seconds, if it sent one."""

    status: int
    body: bytes
    date: float | None


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=16, retries=False, headers={"Connection": "close"})


def get(url: str, timeout: float = 1.0) -> Answer:
    """GET `url` within `timeout` seconds; redirects are not followed. Raises one of `UNREACHABLE`."""
    answer = _pool().request("GET", url, timeout=urllib3.Timeout(total=timeout), redirect=False)
    stamp = answer.headers.get("Date")
    date = parsedate_to_datetime(stamp).timestamp() if stamp else None
    return Answer(answer.status, answer.data, date)
