"""A stack of nothing but the sample's model provider, for the faults on its wire."""

from blackstart.model.stack import Image, Instance, Stack
from blackstart.stack.conditions import HttpReady
from tests.smallstack import HERE

stack = Stack(
    name="llm",
    sidecar=Image("toxiproxy", HERE.parent / "sut" / "toxiproxy"),
    instances=(
        Instance(
            "llm-1",
            "llm",
            Image("llm", HERE.parent / "sut" / "llm"),
            {"http": 8080},
            env={"NODE_NAME": "llm-1", "MODEL_NAME": "sample-llm-1", "SEED": "1"},
            publish=("http",),
            ready=HttpReady("http", "/health/live"),
            plays=("llm",),
        ),
    ),
)
