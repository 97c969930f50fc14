"""A stack of one plain Postgres, for the faults that strike a database."""

from blackstart.model.stack import Image, Instance, Stack
from blackstart.stack.conditions import Command
from tests.smallstack import HERE
from tests.smallstack import stack as _small

stack = Stack(
    name="smalldb",
    sidecar=_small.sidecar,
    instances=(
        Instance(
            "db-1",
            "db",
            Image("smalldb", HERE / "smalldb"),
            {"postgres": 5432},
            publish=("postgres",),
            plays=("postgres",),
            ready=Command(("pg_isready",)),
        ),
    ),
)
