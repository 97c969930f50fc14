"""A second stack, in as few lines as may be: the engine needs no sut/ to be driven."""

from pathlib import Path

from blackstart.model.stack import Image, Instance, Stack
from blackstart.stack.conditions import Command, HttpReady

HERE = Path(__file__).parent
WEB = Image("smallweb", HERE / "smallweb")


def web(name: str, zone: str) -> Instance:
    """A web service that calls the store for everything."""
    ready = HttpReady("http", "/health/ready")
    return Instance(
        name, "web", WEB, {"http": 8080}, zone, calls=("store-1",), publish=("http",), ready=ready
    )


stack = Stack(
    name="small",
    sidecar=Image("toxiproxy", HERE.parent / "sut" / "toxiproxy"),
    instances=(
        Instance(
            "store-1",
            "store",
            WEB,
            {"redis": 6379},
            command=("store",),
            ready=Command(("redis-cli", "ping")),
            disks={"/data": "32m"},
            plays=("redis",),
        ),
        web("web-1", "a"),
        web("web-2", "b"),
    ),
)
