"""The stream over a Redis that notes its commands and answers in the shapes of redis-py."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from sut.app.service.stream import Hint, JobStream, hints


@dataclass
class FakeRedis:
    """Answers each command from a list; a command without answers gives None."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        async def command(*args: Any, **options: Any) -> Any:
            self.said.append(name)
            left = self.answers.get(name, [])
            answer = left.pop(0) if left else None
            if isinstance(answer, Exception):
                raise answer
            return answer

        return command


def make(redis: FakeRedis) -> JobStream:
    return JobStream(cast(Redis, redis), "worker-1", timeout=1)


ENTRY = (b"1-0", {b"job": b"7"})


def test_hints_are_read_from_new_entries() -> None:
    redis = FakeRedis({"xreadgroup": [[[b"jobs", [ENTRY, (b"2-0", {b"job": b"8"})]]], []]})

    async def go() -> None:
        assert await make(redis).fetch(4, wait=0.5) == [Hint(b"1-0", 7), Hint(b"2-0", 8)]
        assert await make(redis).fetch(4, wait=0.5) == []

    asyncio.run(go())


def test_hints_are_read_from_what_a_lost_worker_left() -> None:
    redis = FakeRedis({"xautoclaim": [[b"0-0", [ENTRY], [b"9-0"]]]})
    assert asyncio.run(make(redis).reclaim(4, idle=5)) == [Hint(b"1-0", 7)]


@pytest.mark.parametrize("entry", [(None, None), (b"1-0", None), (b"1-0", {}), (b"1-0", {b"job": b"seven"})])
def test_an_entry_that_is_no_hint_is_passed_over(entry: Any) -> None:
    assert hints([entry, ENTRY]) == [Hint(b"1-0", 7)]


@pytest.mark.parametrize("call", ["xreadgroup", "xautoclaim"])
def test_a_group_that_is_gone_is_made_anew(call: str) -> None:
    redis = FakeRedis({call: [ResponseError("NOGROUP No such key 'jobs'")]})
    stream = make(redis)

    async def go() -> list[Hint]:
        return await (stream.fetch(1, wait=0) if call == "xreadgroup" else stream.reclaim(1, idle=5))

    assert asyncio.run(go()) == []
    assert redis.said == [call, "xgroup_create"]


def test_a_group_that_exists_is_kept_but_another_refusal_is_raised() -> None:
    redis = FakeRedis(
        {"xgroup_create": [ResponseError("BUSYGROUP exists"), ResponseError("OOM command not allowed")]}
    )

    async def go() -> None:
        await make(redis).prepare()
        with pytest.raises(ResponseError, match="OOM"):
            await make(redis).prepare()

    asyncio.run(go())
