"""What the Docker SDK raises, in the words of the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import requests
from docker.errors import DockerException

from blackstart.model.errors import PlatformError


@contextlib.contextmanager
def asked(action: str) -> Iterator[None]:
    """Turn what the Docker SDK raises into PlatformError."""
    try:
        yield
    except (DockerException, requests.RequestException) as error:
        raise PlatformError(f"cannot {action}: {why(error)}") from error


def why(error: BaseException) -> str:
    if isinstance(error, requests.ConnectionError):
        return f"the Docker engine does not answer ({error})"
    return str(getattr(error, "explanation", None) or error)
