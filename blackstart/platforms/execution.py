"""Run a command in a container, and get all that it says."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from docker.errors import NotFound

from blackstart.model.errors import PlatformError
from blackstart.platforms.capabilities import ExecResult
from blackstart.platforms.waiting import wait_until

if TYPE_CHECKING:
    from docker import APIClient

#: Of each frame of output: stream, three zeros, length.
_HEAD = struct.Struct(">BxxxL")


def run_in(api: APIClient, container: str, cmd: Sequence[str], timeout_s: float) -> ExecResult:
    """Run `cmd` as root; both streams in the order in which they came.

    docker-py's own `exec_start` reads from the socket past the HTTP client, and so loses whatever of the
    output came together with the head of the answer: on a busy machine, all of it. Here the answer is an
    ordinary body. Raises DockerException, requests.RequestException, PlatformError.
    """
    made = str(api.exec_create(container, list(cmd), user="0")["Id"])
    answer = api.post(
        f"{api.base_url}/v{api.api_version}/exec/{made}/start",
        json={"Detach": False, "Tty": False},
        timeout=timeout_s,
    )
    answer.raise_for_status()
    output = b"".join(_frames(answer.content)).decode(errors="replace")
    codes: list[int] = []

    def ended() -> str | None:
        try:
            code = api.exec_inspect(made)["ExitCode"]
        except NotFound as error:  # the engine forgets what ran in a container that is down
            raise PlatformError(f"{container} ended while `{' '.join(cmd)}` ran in it") from error
        codes.extend([] if code is None else [int(code)])
        return None if codes else "the engine does not say how it ended"

    wait_until(f"the end of `{' '.join(cmd)}`", ended, limit="5s", every=0.01, error=PlatformError)
    return ExecResult(codes[0], output)


def _frames(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        _, length = _HEAD.unpack_from(body, at)
        at += _HEAD.size + length
        yield body[at - length : at]
