"""The part of the sample stack that the whole is compared with."""

from __future__ import annotations

from benchmarks.startup import alone
from sut.stack import stack


def test_the_slowest_service_alone_is_declared_from_the_same_instances() -> None:
    part = alone(stack)
    assert part.services == ("etcd", "postgres")
    assert part.instances == tuple(i for i in stack.instances if i.service in part.services)
    assert [str(condition) for condition in part.steady] == [str(stack.steady[0])]
