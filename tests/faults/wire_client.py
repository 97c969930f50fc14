"""OpenAI's own client, as the wire tests of the LLM faults use it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import openai

from tests.faults.providers import Provider

MESSAGES: Any = [{"role": "user", "content": "Where is my parcel?"}]
TEXT = "parcels are tracked"
TOOLS: Any = [{"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}]


@dataclass
class Answer:
    """A chat as the client saw it; `at` are the seconds from the call to each chunk."""

    pieces: list[str] = field(default_factory=list)
    finish: str | None = None
    model: str = ""
    refusal: str = ""
    tool: str = ""
    arguments: str = ""
    at: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Client:
    """OpenAI's client, which neither retries nor waits long unless told."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.raw = openai.OpenAI(
            base_url=provider.url + "/v1",
            api_key="k",
            max_retries=0,
            timeout=5.0,
            http_client=openai.DefaultHttpxClient(trust_env=False, verify=False),
        )
        self.partial = Answer()

    def chat(self, stream: bool, model: str = "gpt-4o", timeout: float = 5.0, **more: Any) -> Answer:
        """Ask; what came before an error stays in `partial`."""
        self.partial = seen = Answer()
        began = time.monotonic()
        asked: Any = self.raw.with_options(timeout=timeout).chat.completions.create(
            model=model, messages=MESSAGES, stream=stream, **more
        )
        for part in asked if stream else [asked]:
            seen.at.append(time.monotonic() - began)
            seen.model = part.model
            for choice in part.choices:
                said = choice.delta if stream else choice.message
                seen.finish = choice.finish_reason or seen.finish
                seen.refusal += said.refusal or ""
                if said.content is not None:
                    seen.pieces.append(said.content)
                for call in said.tool_calls or []:
                    seen.tool += call.function.name or ""
                    seen.arguments += call.function.arguments or ""
        return seen

    def embed(self, **more: Any) -> Any:
        """Embed TEXT."""
        return self.raw.embeddings.create(model="e", input=TEXT, dimensions=64, **more)

    def usual(self) -> tuple[Any, ...]:
        """What is always the same while nothing is wrong."""
        streamed, whole, embedded = self.chat(True), self.chat(False), self.embed()
        said = (streamed.text, whole.text, streamed.finish, whole.finish, streamed.model, whole.model)
        return (*said, embedded.data[0].embedding, embedded.model, self.raw.models.list().data[0].id)


def calls(client: Client) -> list[Any]:
    """One call of each kind."""
    return [
        lambda: client.chat(True),
        lambda: client.chat(False),
        client.embed,
        lambda: client.raw.models.list(),
    ]
