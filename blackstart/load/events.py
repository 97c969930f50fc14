"""Answers that come as server-sent events: what a client has seen in the end, and if it is one answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

#: What a stream's description may name, see `HttpOperation.stream`.
PARTS = ("piece", "void", "done", "whole")


class Incoherent(Exception):
    """The stream is no whole answer; its text says why, in a word fit for a history."""


def answer_of(body: bytes, parts: Mapping[str, str]) -> Any:
    """The data of the event `done`; raises Incoherent.

    What a client has put together from the pieces since the last `void` must be the text at `whole` in it;
    a stream without pieces is one that was answered at once.
    """
    event, _, path = parts.get("piece", "").partition(".")
    said = ""
    for name, data in events(body):
        if name == event:
            said += str(dig(data, path))
        elif name == parts.get("void"):
            said = ""
        elif name == parts["done"]:
            if said and said != dig(data, parts.get("whole", "")):
                raise Incoherent("incoherent")
            return data
        else:
            raise Incoherent(f"event-{name}")
    raise Incoherent("no-end")


def events(body: bytes) -> Iterator[tuple[str, Any]]:
    """Name and JSON data of each event; raises Incoherent for data that are none."""
    for block in body.decode(errors="replace").split("\n\n"):
        fields = dict(line.partition(":")[::2] for line in block.splitlines())
        if "event" in fields:
            try:
                yield fields["event"].strip(), orjson.loads(fields.get("data", "null"))
            except orjson.JSONDecodeError:
                raise Incoherent("bad-json") from None


def dig(answer: Any, path: str) -> Any:
    """What is at a dotted path of a JSON value; None if nothing is."""
    for name in path.split("."):
        if not isinstance(answer, dict):
            return None
        answer = answer.get(name)
    return answer
