"""The provider's admin side on the wire: scripts come, end by themselves, and are taken back by token."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from sut.llm.calls import KEPT, Call, Log

from .test_provider import serve

SCRIPT = "/admin/script/one"


def script(fault: str, expires_s: float = 60, **params: Any) -> dict[str, Any]:
    return {"rules": [{"fault": fault, "params": params}], "expires_s": expires_s}


async def status(client: Any, **headers: str) -> int:
    answer = await client.get(
        "/v1/models", headers={"X-Blackstart-Probe": headers["probe"]} if headers else {}
    )
    return int(answer.status)


def test_a_script_is_in_force_from_put_to_delete() -> None:
    async def use(_: str, client: Any) -> None:
        told = await (await client.put(SCRIPT, json=script("error", status=500))).json()
        (rule,) = told["scripts"]["one"]["rules"]
        assert (rule["fault"], rule["params"]) == ("error", {"status": 500})
        assert 59 < told["scripts"]["one"]["left_s"] <= 60
        assert await status(client) == 500
        await client.put(SCRIPT, json=script("error", status=529))
        assert await status(client) == 529, "a second PUT takes the place of the first"
        for _again in range(2):
            assert (await (await client.delete(SCRIPT)).json())["scripts"] == {}
        assert await status(client) == 200

    serve(use)


def test_a_script_that_nobody_takes_back_ends_by_itself_and_frees_whom_it_held_up() -> None:
    async def use(_: str, client: Any) -> None:
        await client.put(SCRIPT, json=script("hang", expires_s=0.3))
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(client.get("/v1/models"), 3)
        assert (await (await client.get("/admin/script")).json())["scripts"] == {}
        assert await status(client) == 200
        told = await (await client.get("/admin/requests")).json()
        assert 0.25 < told["log"][0]["end"] - told["log"][0]["begin"] < 2

    serve(use)


def test_the_end_of_a_script_is_not_that_of_its_successor() -> None:
    async def use(_: str, client: Any) -> None:
        await client.put(SCRIPT, json=script("error", expires_s=0.2))
        await client.put(SCRIPT, json=script("error"))
        await client.put("/admin/script/slow", json=script("slow_first_token", delay_s=0.4))
        await client.get("/v1/models", headers={"X-Blackstart-Probe": "slow"})
        assert await status(client) == 503, "0.4 s later"

    serve(use)


def test_a_probe_meets_its_script_alone_and_is_not_counted() -> None:
    async def use(_: str, client: Any) -> None:
        late = script("error", status=500)
        late["rules"][0]["calls"] = {"from": 2}
        await client.put(SCRIPT, json=late)
        assert [await status(client, probe="one"), await status(client, probe="two")] == [500, 200]
        assert [await status(client), await status(client)] == [200, 500]
        told = await (await client.get("/admin/requests")).json()
        assert (told["total"], told["struck"], told["by_rule"]) == (2, 1, {"one": [1]})

    serve(use)


def test_a_script_that_says_nothing_valid_is_refused_and_none_is_lost() -> None:
    async def use(_: str, client: Any) -> None:
        await client.put(SCRIPT, json=script("error"))
        wrongs: list[Any] = [
            {},
            [],
            script("gremlins"),
            script("error", state=500),
            script("error", expires_s=0),
        ]
        for wrong in wrongs:
            answer = await client.put(SCRIPT, json=wrong)
            assert answer.status == 400
            assert (await answer.json())["error"]["message"]
        assert await status(client) == 503

    serve(use)


def test_the_log_is_bounded_and_the_counts_are_not() -> None:
    log = Log()
    for number in range(KEPT + 10):
        with log.note(Call("chat", model=str(number))):
            pass
    told = log.to_dict()
    assert (told["total"], len(told["log"]), told["forgotten"]) == (KEPT + 10, KEPT, 10)
    assert told["log"][0]["model"] == "10", "the oldest are forgotten"
