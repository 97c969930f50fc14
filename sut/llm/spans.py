"""Spans of the calls that come, each a line of JSON on standard output, in the form that the service writes.

Of those calls alone that their caller has sampled, by W3C's `traceparent`. Model provider and tool have the
same file: an image is built from its own folder.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Version, trace, parent, and flags whose last bit is set.
_SAMPLED = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f][13579bdf]")


@contextmanager
def span(name: str, node: str, traceparent: str, **told: object) -> Iterator[dict[str, object]]:
    """Surround the answer to a call; what is put into the yielded dict is told too. Times: ns since 1970."""
    sampled = _SAMPLED.fullmatch(traceparent)
    if sampled is None:
        yield told
        return
    begin = time.time_ns()
    error: str | None = None
    try:
        yield told
    except BaseException as failure:
        error = type(failure).__name__
        raise
    finally:
        line = {
            "span": name,
            "node": node,
            "trace_id": sampled[1],
            "span_id": secrets.token_hex(8),
            "parent_id": sampled[2],
            "begin_ns": begin,
            "end_ns": time.time_ns(),
            "kind": "server",
            "error": error,
            **told,
        }
        # In one piece: threads share the output.
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
