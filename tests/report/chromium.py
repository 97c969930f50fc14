"""Just enough of the Chrome DevTools Protocol to open a file and ask the browser about it."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--remote-debugging-port=0"),
)


def inspect(
    file: Path, profile: Path, width: int, scheme: str, expression: str, media: str = "screen"
) -> dict[str, Any]:
    """Open `file` in a window `width` wide; `value` of the expression, `requests` and console `messages`.

    `scheme` is light or dark, `media` screen or print.
    """
    assert BINARY is not None
    command = [BINARY, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert browser.stderr is not None
        ports = (re.search(r"ws://127\.0\.0\.1:(\d+)/", line) for line in browser.stderr)
        port = next(found[1] for found in ports if found)
        return asyncio.run(asyncio.wait_for(_inspect(port, file, width, scheme, expression, media), 60))
    finally:
        browser.kill()
        browser.wait()


async def _inspect(
    port: str, file: Path, width: int, scheme: str, expression: str, media: str
) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as answer:
            tab = next(t for t in await answer.json() if t["type"] == "page")
        async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            seen: list[dict[str, Any]] = []
            number = 0

            async def until(key: str, value: Any) -> dict[str, Any]:
                while True:
                    message: dict[str, Any] = await socket.receive_json(loads=json.loads)
                    seen.append(message)
                    if message.get(key) == value:
                        return message

            async def call(method: str, **params: Any) -> dict[str, Any]:
                nonlocal number
                number += 1
                await socket.send_json({"id": number, "method": method, "params": params})
                result: dict[str, Any] = (await until("id", number))["result"]
                return result

            for domain in ("Page", "Network", "Runtime", "Log"):
                await call(f"{domain}.enable")
            await call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=800,
                deviceScaleFactor=1,
                mobile=width < 600,
            )
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            await call("Emulation.setEmulatedMedia", media=media, features=features)
            await socket.send_json({"id": 0, "method": "Page.navigate", "params": {"url": file.as_uri()}})
            await until("method", "Page.loadEventFired")
            asked = await call("Runtime.evaluate", expression=f"JSON.stringify({expression})")
    spoken = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    return {
        "value": json.loads(asked["result"]["value"]),
        "requests": [
            m["params"]["request"]["url"] for m in seen if m.get("method") == "Network.requestWillBeSent"
        ],
        "messages": [m["params"] for m in seen if m.get("method") in spoken],
    }
