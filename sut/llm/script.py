"""Scripts: which calls meet which wire fault, and until when.

A script is what `PUT /admin/script/<token>` takes::

    {"expires_s": 125,
     "rules": [{"fault": "error", "params": {"status": 503},
                "model": "gpt-*", "endpoint": "chat",
                "calls": {"from": 2, "to": 4, "every": 1},
                "probability": 0.3, "seed": 7}]}

Of a rule only `fault` is required. It counts the calls that its endpoint and model match and its fault can
strike, from 1, whether or not another rule strikes them; it is due for those in `calls` for which the hash of
seed and number, as a fraction, is below `probability`. The first rule that is due strikes: rules in their
order, scripts in the order of their arrival. A script ends by itself after `expires_s` seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .answers import digest
from .calls import Call
from .wire.base import HEALTHY, WireFault, make, require

LONGEST_S = 86_400
KEYS = ("fault", "params", "model", "endpoint", "calls", "probability", "seed")


@dataclass
class Rule:
    """One rule, and its counts: calls `matched`, and those among them that it `struck`."""

    fault: WireFault[Any]
    params: dict[str, Any]
    model: str | None = None
    endpoint: str | None = None
    first: int = 1
    last: int | None = None
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    matched: int = 0
    struck: int = 0

    @classmethod
    def parse(cls, data: Any) -> Rule:
        """Raises ValueError that names what is valid."""
        _keys("rule", data, KEYS)
        params, calls = data.get("params") or {}, data.get("calls") or {}
        _keys("calls", calls, ("from", "to", "every"))
        _keys("params", params, params)
        rule = cls(
            make(str(data.get("fault")), params),
            params,
            data.get("model"),
            data.get("endpoint"),
            calls.get("from", 1),
            calls.get("to"),
            calls.get("every", 1),
            data.get("probability", 1.0),
            data.get("seed", 0),
        )
        rule._check()
        return rule

    def _check(self) -> None:
        if self.model is not None and (not isinstance(self.model, str) or "[" in self.model):
            raise ValueError(f"model must be a name, in which * and ? match, not {self.model!r}")
        if self.endpoint is not None and self.endpoint not in self.fault.endpoints:
            known = ", ".join(self.fault.endpoints)
            raise ValueError(f"{self.fault.name} strikes no endpoint {self.endpoint!r}; it strikes: {known}")
        require("calls.from", self.first, int, 1, 2**31)
        require("calls.every", self.every, int, 1, 2**31)
        if self.last is not None:
            require("calls.to", self.last, int, self.first, 2**31)
        require("probability", self.probability, (int, float), 0, 1)
        require("seed", self.seed, int, 0, 2**63)

    def matches(self, call: Call) -> bool:
        """Whether the call is one that this rule counts."""
        if not self.fault.strikes(call) or self.endpoint not in (None, call.endpoint):
            return False
        return self.model is None or (call.model is not None and fnmatchcase(call.model, self.model))

    def due(self, number: int) -> bool:
        """Whether the matching call of this number is to be struck; depends on nothing else."""
        if number < self.first or (self.last is not None and number > self.last):
            return False
        if (number - self.first) % self.every:
            return False
        return digest(f"{self.seed}|{number}") < self.probability * 2**64

    def to_dict(self) -> dict[str, Any]:
        """As `parse` takes it, with the counts."""
        calls = {"from": self.first, "to": self.last, "every": self.every}
        return {
            "fault": self.fault.name,
            "params": self.params,
            "model": self.model,
            "endpoint": self.endpoint,
            "calls": calls,
            "probability": self.probability,
            "seed": self.seed,
            "matched": self.matched,
            "struck": self.struck,
        }


@dataclass
class Script:
    """The rules of one token; `over` is set when they are taken back."""

    rules: list[Rule]
    expires_s: float
    ends: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def parse(cls, data: Any) -> Script:
        """Raises ValueError that names what is valid."""
        _keys("script", data, ("rules", "expires_s"))
        rules, expires_s = data.get("rules"), data.get("expires_s")
        if not isinstance(rules, list) or not rules:
            raise ValueError("rules must be a list of at least one rule")
        require("expires_s", expires_s, (int, float), 0.001, LONGEST_S)
        return cls([Rule.parse(rule) for rule in rules], expires_s)

    def to_dict(self, now: float) -> dict[str, Any]:
        """As `parse` takes it, with counts and the seconds left."""
        left_s = round(max(0.0, self.ends - now), 3)
        rules = [rule.to_dict() for rule in self.rules]
        return {"rules": rules, "expires_s": self.expires_s, "left_s": left_s}


@dataclass(frozen=True)
class Chosen:
    """What a call meets: a fault, the token of its script if any, and the event of its end."""

    fault: WireFault[Any] = HEALTHY
    token: str | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Book:
    """The scripts in force by token; how many calls the rules of each struck, also of those that ended."""

    scripts: dict[str, Script] = field(default_factory=dict)
    struck: dict[str, list[int]] = field(default_factory=dict)

    def put(self, token: str, script: Script) -> None:
        """Bring a script into force, in place of an earlier one of the token."""
        self.remove(token)
        loop = asyncio.get_running_loop()
        script.ends = loop.time() + script.expires_s
        self.scripts[token] = script
        self.struck[token] = [0] * len(script.rules)

        def expire() -> None:
            if self.scripts.get(token) is script:
                self.remove(token)

        loop.call_at(script.ends, expire)

    def remove(self, token: str) -> None:
        """Take a script back, if it is there, and release the calls that it holds up."""
        script = self.scripts.pop(token, None)
        if script is not None:
            script.over.set()

    def clear(self) -> None:
        """Take all back, and forget the counts."""
        for token in list(self.scripts):
            self.remove(token)
        self.struck.clear()

    def choose(self, call: Call) -> Chosen:
        """What the call meets; every rule that matches counts it."""
        chosen: Chosen | None = None
        for token, script in self.scripts.items():
            for number, rule in enumerate(script.rules):
                if not rule.matches(call):
                    continue
                rule.matched += 1
                if chosen is None and rule.due(rule.matched):
                    rule.struck += 1
                    self.struck[token][number] = rule.struck
                    chosen = Chosen(rule.fault, token, script.over)
        return chosen or Chosen()

    def probe(self, token: str, call: Call) -> Chosen:
        """What a call would meet that the script of this token strikes; nothing is counted."""
        script = self.scripts.get(token)
        for rule in script.rules if script is not None else ():
            if script is not None and rule.matches(call):
                return Chosen(rule.fault, token, script.over)
        return Chosen()


def _keys(what: str, data: Any, known: Any) -> None:
    """ValueError unless `data` is an object with no other than these keys."""
    if not isinstance(data, dict):
        raise ValueError(f"{what} must be an object, not {data!r}")
    if unknown := [key for key in data if key not in known]:
        raise ValueError(f"{what} has no {', '.join(map(repr, unknown))}; it has: {', '.join(known)}")
