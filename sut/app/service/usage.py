"""Tokens, and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Where a provider does not say: the usual rule of thumb, so that nothing is free by silence.
LETTERS_A_TOKEN = 4


@dataclass(frozen=True)
class Usage:
    """Tokens of the prompt and of the completion, and their cost in millionths of a dollar."""

    prompt: int = 0
    completion: int = 0
    micros: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt, self.completion + other.completion, self.micros + other.micros
        )

    def __str__(self) -> str:
        """As the checkpointed state keeps it."""
        return f"{self.prompt} {self.completion} {self.micros}"

    @classmethod
    def parse(cls, text: str) -> Usage:
        """The inverse of `str`; nothing is no usage."""
        return cls(*map(int, text.split()))

    def shown(self) -> dict[str, object]:
        """As the API shows it."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "cost_usd": self.micros / 1e6,
        }


NOTHING = Usage()


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens, which is millionths of a dollar for one."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, prompt: int, completion: int) -> Usage:
        """The usage with its cost, rounded up."""
        cost = prompt * self.prompt + completion * self.completion
        return Usage(prompt, completion, math.ceil(cost))


def estimated(letters: int) -> int:
    """The tokens of so many letters."""
    return math.ceil(letters / LETTERS_A_TOKEN)
