"""JSON logs, one object a line, with the trace id of the request they belong to."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar

trace_id: ContextVar[str] = ContextVar("trace_id", default="")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def trace_of(traceparent: str | None) -> str:
    """The trace id of a W3C `traceparent`, or a fresh one."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    return found.group(1) if found else secrets.token_hex(16)


class JsonFormatter(logging.Formatter):
    """Renders a record and its `extra` fields; never the arguments of a request.

    Whatever of `hidden` a library put into its words is masked.
    """

    def __init__(self, node: str, hidden: Callable[[], Iterable[str]] = tuple) -> None:
        super().__init__()
        self.node = node
        self._hidden = hidden

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON; times are UTC with milliseconds."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "node": self.node,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := trace_id.get():
            line["trace_id"] = current
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            line["exception"] = "".join(_told(record.exc_info[1]))
        text = json.dumps(line, default=str)
        for secret in filter(None, self._hidden()):
            text = text.replace(json.dumps(secret)[1:-1], "[redacted]")
        return text


def _told(error: BaseException | None) -> Iterator[str]:
    """Where and what kind of errors; not their words, which may be what a user or a model said."""
    while error is not None:
        yield f"{type(error).__qualname__} {getattr(error, 'sqlstate', None) or ''}".rstrip() + "\n"
        # The innermost frames: an ASGI stack has forty, and the first thirty never differ.
        yield from traceback.format_tb(error.__traceback__, limit=-8)
        error = error.__cause__ or error.__context__


def configure(node: str, level: str, hidden: Callable[[], Iterable[str]] = tuple) -> None:
    """Send every logger's records to standard output as JSON, what is `hidden` masked."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(node, hidden))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The libraries log one line per request or per reconnection attempt: noise under load.
    for name in ("httpx", "httpx2", "openai", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
