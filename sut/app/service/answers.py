"""What a provider's answer is worth: usable as it is, of no use, or no other provider's business.

| the provider                                  | what is done                                          |
| --------------------------------------------- | ----------------------------------------------------- |
| ends without a finish reason, or says nothing | elsewhere: it is a fault of the provider              |
| calls a tool (none was offered)               | elsewhere, well-formed or not                         |
| sends broken JSON or events                   | elsewhere: the client library raises                  |
| says more than it may                         | elsewhere: it is cut off                              |
| withholds by its content filter               | refusal 422: nobody goes shopping for another filter  |
| says that the context is too long             | refusal 413: it is as long wherever it is sent        |
| declines in words (`refusal`)                 | given as it is, but not cached                        |
| names another model than asked for            | given as it is, as `fallback-model`, and not cached   |
| sends a chunk twice                           | given as it is: real repetitions look no different    |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import openai
from langchain_core.messages import BaseMessage

from .errors import NotAsked, Refusal
from .usage import Price, Usage, estimated

# Letters of an answer: far more than the tokens that are asked for. Longer, it is a fault of the provider.
LONGEST = 16_384
TOO_LONG = "the conversation is too long for the model; start a new one"
WITHHELD = "the provider's content filter withheld the answer"


@dataclass
class Heard:
    """What came of an answer so far, whole or in pieces."""

    pieces: list[str] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    declined: bool = False
    letters: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def hear(self, message: BaseMessage) -> str:
        """Take in a message or a chunk of one; its text. Raises ValueError once that is beyond LONGEST."""
        self.meta.update(message.response_metadata)
        if usage := getattr(message, "usage_metadata", None):
            self.prompt_tokens, self.completion_tokens = usage["input_tokens"], usage["output_tokens"]
        piece = str(message.content)
        if declined := message.additional_kwargs.get("refusal"):
            self.declined, piece = True, str(declined)
        self.pieces.append(piece)
        self.letters += len(piece)
        if self.letters > LONGEST:
            raise ValueError("the answer is longer than it may be")
        return piece

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(self.pieces)

    @property
    def model(self) -> str:
        """The model that the provider names; a provider need not."""
        return str(self.meta.get("model_name") or "")

    def check(self) -> None:
        """Raise Refusal if it was withheld, ValueError if it is of no use."""
        reason = self.meta.get("finish_reason")
        if reason == "content_filter":
            raise Refusal(422, WITHHELD)
        # A connection that ends cleanly in mid-answer raises nothing: only the finish reason tells.
        if not self.text.strip() or reason not in ("stop", "length"):
            raise ValueError("the answer is empty or unfinished")

    def usage(self, price: Price, asked: list[BaseMessage]) -> Usage:
        """What it used, as told or else estimated; nothing if nothing was said at all."""
        if not self.pieces:
            return Usage()
        prompt, completion = self.prompt_tokens, self.completion_tokens
        if prompt is None or completion is None:
            prompt = estimated(sum(len(str(message.content)) for message in asked))
            completion = estimated(len(self.text))
        return price.of(prompt, completion)


def serves(echo: str, names: Iterable[str]) -> str | None:
    """Which of `names` a provider serves that calls its model `echo`: providers add a date or a place."""
    found = [name for name in names if echo == name or echo.startswith(f"{name}-")]
    return max(found, key=len, default=None)


def refused(error: BaseException) -> Refusal | None:
    """The refusal that an error means for the client whichever provider is asked, if it is such a one."""
    code = getattr(error, "code", None) if isinstance(error, openai.APIError) else None
    if code == "context_length_exceeded":
        return Refusal(413, TOO_LONG)
    return Refusal(422, WITHHELD) if code == "content_filter" else None


def blamed(error: BaseException) -> bool:
    """Whether an error speaks against the provider: not if our prompt or a limit of ours is the cause."""
    return not isinstance(error, NotAsked | Refusal) and refused(error) is None
