"""What the parts of the stack `region` must agree on, beyond those of the sample (sut/settings.py)."""

from __future__ import annotations

#: The second region: a service of its own for each instance, so that a fault on `app` means the first's.
ETCD, POSTGRES, PROXY = "etcd-r1", "pg-r1", "pgproxy-r1"
REDIS, SENTINEL = "redis-r1", "sentinel-r1"
APP, WORKER = "app-r1", "worker-r1"
SECOND = (ETCD, POSTGRES, PROXY, REDIS, SENTINEL, APP, WORKER)
#: Services that stand for what is in neither region: the way in, others' services, monitoring.
OUTSIDE = ("front", "llm", "tool", "prometheus", "alertmanager", "prober")
#: Its zone: what happens to the first region's does not happen to it.
ZONE = "r"

#: Where each region's primary is found, whichever node that is, by the other region.
FIRST_PROXY = "pgproxy-1"
PRIMARY_PORT = 5000
#: The slots by which the primary of one region keeps the log for the other one, named for who reads them.
SLOT_OF_FIRST, SLOT_OF_SECOND = "region_one", "region_two"

#: Where Patroni keeps what all nodes of a region share, in that region's etcd.
KEYS = "/service/main"
