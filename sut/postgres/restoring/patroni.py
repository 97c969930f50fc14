"""The Patroni of this host and of the other members, by their REST interfaces, and what etcd knows."""

from __future__ import annotations

import http.client
import json
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from .base import Failed, until
from .server import own_address

SCOPE = "main"
_PORT = 8008
_TIMEOUT_S = 10.0
#: Patroni's loop comes by every 2 s, or every 10 s where no configuration tells it otherwise.
_LOOP_LIMIT_S = 40.0
#: A leader's lease is of 20 s (`ttl`): one that is gone has none after that.
_LEASE_LIMIT_S = 30.0


@dataclass(frozen=True)
class Member:
    """A member of the cluster, as Patroni knows it."""

    name: str
    host: str
    role: str
    state: str


def await_answer() -> None:
    """Wait until the Patroni of this host answers. Raises Failed."""

    def silent() -> str | None:
        try:
            own_name()
        except Failed as error:
            return str(error)
        return None

    until("Patroni here", silent, _LOOP_LIMIT_S)


def members() -> list[Member]:
    """Every member that has told of itself. Raises Failed."""
    return [
        Member(m["name"], m.get("host", m["name"]), m["role"], m["state"])
        for m in _call("GET", "/cluster")["members"]
    ]


def own_name() -> str:
    """The name of this host's member. Raises Failed."""
    return str(_call("GET", "/patroni")["patroni"]["name"])


def pause() -> None:
    """Have Patroni leave every Postgres alone; returns once it does. Raises Failed."""
    _call("PATCH", "/config", {"pause": True})
    until("Patroni in pause", lambda: None if _paused() else "not yet", _LOOP_LIMIT_S)


def resume() -> None:
    """Have Patroni watch over them again. Raises Failed."""
    _call("PATCH", "/config", {"pause": None})
    until("Patroni out of its pause", lambda: "not yet" if _paused() else None, _LOOP_LIMIT_S)


def restart() -> None:
    """Have Patroni start this host's Postgres again: its log goes where the node's goes. Raises Failed."""
    _call("POST", "/restart", {})


def await_leader() -> float:
    """Wait until this host's Postgres is the primary that Patroni says it is; seconds. Raises Failed."""

    def other() -> str | None:
        try:
            told = _call("GET", "/primary")
        except Failed as error:
            return str(error)
        return None if told.get("state") == "running" else f"it is {told.get('state')}"

    return until("this node as primary", other, _LOOP_LIMIT_S)


def refuse_unless_primary() -> None:
    """Raise Failed unless this host's Postgres is the primary, and well."""
    try:
        _call("GET", "/primary")
    except Failed as error:
        raise Failed(
            f"this node is not a primary that is well ({error}): run this where the primary is"
        ) from error


def await_no_leader() -> None:
    """Wait until the lease of a leader that is gone has run out. Raises Failed.

    One that only this host cannot reach renews it: to begin another cluster then would make two of them.
    """

    def held() -> str | None:
        leaders = [member.name for member in members() if "leader" in member.role]
        unreachable = "there is a primary that this node cannot reach; mend the network, or stop that node"
        return f"{', '.join(leaders)} holds it: {unreachable}" if leaders else None

    until("the end of the leader's lease", held, _LEASE_LIMIT_S)


def is_primary(member: Member) -> bool:
    """Whether another member says itself that it is primary; for a while etcd says it of one that is gone."""
    try:
        _call("GET", "/primary", host=member.host)
    except Failed:
        return False
    return True


def reinitialise(member: Member) -> None:
    """Have another member copy everything from the primary anew. Raises Failed."""
    _call("POST", "/reinitialize", {"force": True}, host=member.host)


def forget_cluster() -> None:
    """Remove what etcd knows of a cluster whose data are gone, so that one may begin. Raises Failed."""
    # Where a leader holds a lease its name is asked for as well, and nothing is removed.
    answers = "\n".join([SCOPE, "Yes I am aware"]) + "\n"
    done = subprocess.run(
        ["patronictl", "remove", SCOPE],
        input=answers,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"patronictl remove: {done.stdout.strip()[-500:]}")


def _paused() -> bool:
    return bool(_call("GET", "/patroni").get("pause"))


def _call(method: str, path: str, body: dict[str, Any] | None = None, host: str = "") -> dict[str, Any]:
    url = f"http://{host or own_address()}:{_PORT}{path}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise Failed(f"{method} {url}: {error.code}: {error.read().decode()[:200].strip()}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{method} {url}: Patroni does not answer: {error}") from error
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
