"""A model call of ours: what a provider answers, how soon, and how its answer ends."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.exceptions import ChunkedEncodingError
from urllib3.exceptions import ReadTimeoutError

from blackstart.model.errors import PlatformError

#: Names the script that the call is to meet; the provider neither counts nor keeps such a call.
HEADER = "X-Blackstart-Probe"
PATHS = {"chat": "/v1/chat/completions", "embeddings": "/v1/embeddings", "models": "/v1/models"}
ENDPOINTS = tuple(PATHS)
CONNECT_S = 2.0


@dataclass(frozen=True)
class Seen:
    """An answer as it came. `end` is `whole`, `cut` (before its end) or `late` (no end within the patience).

    `status` is None if no head came; `times` are seconds from the call to each arrival of a part of `body`.
    """

    status: int | None
    headers: Mapping[str, str]
    body: str
    times: tuple[float, ...]
    end: str

    @property
    def events(self) -> list[str]:
        """The data of each server-sent event; lines of one event are joined by a newline."""
        blocks = [block for block in self.body.split("\n\n") if block.strip()]
        return ["\n".join(line.removeprefix("data: ") for line in b.splitlines()) for b in blocks]

    @property
    def streamed(self) -> bool:
        """Whether it came as server-sent events."""
        return self.headers.get("Content-Type", "").startswith("text/event-stream")

    def parts(self) -> list[dict[str, Any]]:
        """The JSON objects of the answer, [DONE] left out. ValueError if one is none."""
        texts = [e for e in self.events if e != "[DONE]"] if self.streamed else [self.body]
        parts = [json.loads(text) for text in texts]
        if not all(isinstance(part, dict) for part in parts):
            raise ValueError("not an object")
        return parts

    def choices(self) -> list[dict[str, Any]]:
        """The first choice's message or delta of each part that has one, and its `finish_reason` with it."""
        firsts = [part["choices"][0] for part in self.parts() if part.get("choices")]
        return [
            {
                **(first.get("message") or first.get("delta") or {}),
                "finish_reason": first.get("finish_reason"),
            }
            for first in firsts
        ]

    def said(self, part: str = "content") -> str:
        """All of `content` (or `refusal`), joined."""
        return "".join(choice.get(part) or "" for choice in self.choices())

    def finish(self) -> str | None:
        """The finish_reason; None if there is none."""
        return next((c["finish_reason"] for c in self.choices() if c.get("finish_reason")), None)

    def vectors(self) -> list[list[float]]:
        """The embeddings."""
        return [item["embedding"] for item in self.parts()[0]["data"]]

    def error(self) -> dict[str, Any]:
        """The error in the body, {} if there is none."""
        with contextlib.suppress(ValueError):
            return dict(self.parts()[0].get("error") or {})
        return {}

    def wrong(self) -> str | None:
        """What is wrong with it as an answer; None if nothing is."""
        if self.status != 200 or self.end != "whole":
            return f"status {self.status}, {len(self.body)} characters, end {self.end}"
        try:
            parts = self.parts()
            if "choices" not in parts[0]:
                return None if "data" in parts[0] else "neither choices nor data"
            if self.streamed and self.events[-1] != "[DONE]":
                return "no [DONE]"
            finish, said = self.finish(), self.said()
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return f"malformed: {error}"
        return None if finish in ("stop", "length") and said else f"finish_reason {finish}, said {said!r}"


@dataclass(frozen=True)
class Probe:
    """A small call of ours; `extra` is added to its body."""

    endpoint: str
    stream: bool
    model: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any] | None:
        """The request's body; None if there is none."""
        bodies: dict[str, dict[str, Any] | None] = {
            "chat": {"messages": [{"role": "user", "content": "Where is my order?"}], "stream": self.stream},
            "embeddings": {"input": ["Where is my order?"]},
            "models": None,
        }
        body = bodies[self.endpoint]
        return None if body is None else {"model": self.model, **body, **self.extra}

    def ask(self, base: str, token: str, patience_s: float) -> Seen:
        """Call the provider at `base`, and listen for about `patience_s` seconds at most.

        Raises PlatformError if there is no connection, or it ends before the answer's head.
        """
        began = time.monotonic()
        body = self.body()
        with requests.Session() as session:
            session.trust_env = False  # an HTTP proxy of the user's must not get requests to 127.0.0.1
            try:
                response = session.request(
                    "GET" if body is None else "POST",
                    base + PATHS[self.endpoint],
                    json=body,
                    headers={HEADER: token, "Authorization": "Bearer probe"},
                    stream=True,
                    timeout=(CONNECT_S, patience_s),
                )
            except requests.ReadTimeout:
                return Seen(None, {}, "", (), "late")
            except requests.RequestException as error:
                raise PlatformError(f"{base}: {error}") from error
            with response:
                return _listen(response, began, patience_s)


def _listen(response: requests.Response, began: float, patience_s: float) -> Seen:
    arrived: list[tuple[float, bytes]] = []
    end = "late"
    try:
        for data in response.iter_content(None):
            arrived.append((time.monotonic() - began, data))
            if arrived[-1][0] > patience_s:
                break
        else:
            end = "whole"
    except ChunkedEncodingError:
        end = "cut"
    except requests.ConnectionError as error:
        # So requests tells of a read timeout in the middle of a body.
        if not (error.args and isinstance(error.args[0], ReadTimeoutError)):
            end = "cut"
    body = b"".join(data for _, data in arrived).decode(errors="replace")
    return Seen(response.status_code, dict(response.headers), body, tuple(at for at, _ in arrived), end)
