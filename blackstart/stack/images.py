"""Images by content: the tag is the hash of the build context, so what exists is never built again."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException, ImageNotFound
from urllib3.exceptions import HTTPError

from blackstart.model.errors import ImageError
from blackstart.model.stack import Image
from blackstart.platforms import engine

DEFAULT_BASE = "debian:trixie-slim"
AIRGAP = Path(__file__).parents[2] / "tools" / "airgap-base"
CA_FILE = "ca-bundle.crt"
CA_SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
LABEL = "blackstart.image"
PARALLEL = 2
TAIL = 20
BUILD_TIMEOUT_S = 900
# Of the host's environment: what a build may need to reach a package mirror. Proxies are predefined build
# arguments, which the engine keeps out of the image's history.
PASSED = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "GOPROXY",
    "GOSUMDB",
)

Progress = Callable[[str], None]


def base() -> str:
    """The image that every Dockerfile starts from; BLACKSTART_BASE overrides the default."""
    return os.environ.get("BLACKSTART_BASE") or DEFAULT_BASE


def tag_of(image: Image) -> str:
    """`blackstart/<name>:<hash12>`: the hash of the context's files, the arguments and the base's name.

    Pure but for reading the files. Raises ImageError if the context has no Dockerfile.
    """
    digest = hashlib.sha256()

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "big") + data)

    add("blackstart-image-1", base())
    for key in sorted(image.args):
        add("arg", key, image.args[key])
    for path, name in _files(image):
        add("file", name, "x" if _executable(path) else "-", path.read_bytes())
    return f"blackstart/{image.name}:{digest.hexdigest()[:12]}"


def _executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def _files(image: Image) -> list[tuple[Path, str]]:
    """The context's files and their names in it, sorted; caches and dot files are no part of it."""
    if not (image.context / "Dockerfile").is_file():
        raise ImageError(f"image {image.name!r}: no Dockerfile in {image.context}")
    found = []
    for path in image.context.rglob("*"):
        relative = path.relative_to(image.context)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
        if path.is_file() and not hidden and relative.as_posix() != CA_FILE:
            found.append((path, relative.as_posix()))
    return sorted(found, key=lambda item: item[1])


def _ca_bundle() -> bytes:
    """The host's CA bundle, so that a build behind an inspecting proxy can fetch; empty if there is none."""
    named = os.environ.get("SSL_CERT_FILE")
    for path in (Path(named) if named else None, CA_SYSTEM):
        if path is not None and path.is_file():
            return path.read_bytes()
    return b""


def _context(image: Image) -> io.BytesIO:
    """The context as a tar whose bytes depend on content alone, the CA bundle added."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def add(name: str, data: bytes, mode: int) -> None:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))

        for path, name in _files(image):
            add(name, path.read_bytes(), 0o755 if _executable(path) else 0o644)
        add(CA_FILE, _ca_bundle(), 0o644)
    buffer.seek(0)
    return buffer


def ensure_images(
    images: Iterable[Image], *, progress: Progress, client: docker.DockerClient | None = None
) -> dict[str, str]:
    """Build what is missing, two at a time, and return each image's tag by its name.

    The first failure, or Ctrl-C, ends the other builds at once. Raises ImageError with the last lines of the
    build that failed, PlatformError if there is no engine.
    """
    wanted = {image.name: image for image in images}
    tags = {name: tag_of(image) for name, image in wanted.items()}
    client = client or engine.connect()
    missing = [image for name, image in wanted.items() if not present(client, tags[name])]
    if not missing:
        return tags
    ensure_base(client, progress)
    pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="build")
    with _Abortable(client) as answers:
        try:
            jobs = [pool.submit(_build, client, image, tags[image.name], progress) for image in missing]
            for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            answers.abort()
            raise
        finally:
            pool.shutdown()
    return tags


class _Abortable:
    """The answers that a client is reading; `abort` hangs up on them, at which the engine drops the build.

    Closing the client would not do: that leaves alone the connections in use.
    """

    def __init__(self, client: docker.DockerClient) -> None:
        self._hooks = client.api.hooks["response"]
        self._answers: list[requests.Response] = []
        self._aborted = False

    def __enter__(self) -> _Abortable:
        self._hooks.append(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.remove(self._note)

    def _note(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        self._answers.append(answer)
        if self._aborted:
            self.abort()

    def abort(self) -> None:
        """Hang up on every answer, also on those to come."""
        self._aborted = True
        for answer in list(self._answers):
            with contextlib.suppress(ValueError, RuntimeError, OSError):  # it was read to its end
                answer.raw.shutdown()


def present(client: docker.DockerClient, tag: str) -> bool:
    """Whether the engine has the image. Raises ImageError if the engine does not say."""
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    except (DockerException, requests.RequestException) as error:
        raise ImageError(f"{tag}: the engine does not answer: {error}") from error
    return True


def _build(client: docker.DockerClient, image: Image, tag: str, progress: Progress) -> None:
    progress(f"image {image.name}: building {tag}")
    began = time.monotonic()
    tail: deque[str] = deque(maxlen=TAIL)
    passed = {key: os.environ[key] for key in PASSED if os.environ.get(key)}
    try:
        answer = client.api.build(
            fileobj=_context(image),
            custom_context=True,
            tag=tag,
            buildargs={**passed, **image.args, "BASE": base()},
            labels={LABEL: image.name},
            network_mode=os.environ.get("BLACKSTART_BUILD_NETWORK") or None,
            rm=True,
            forcerm=True,
            decode=True,
            timeout=BUILD_TIMEOUT_S,
        )
        failure = _follow(answer, tail)
    except (DockerException, requests.RequestException, HTTPError) as error:
        failure = str(error)
    if failure is not None:
        lines = "\n".join(f"  | {line}" for line in tail)
        raise ImageError(f"image {image.name!r} failed to build: {failure}\n{lines}")
    progress(f"image {image.name}: built in {time.monotonic() - began:.0f} s")


def _follow(answer: Iterator[dict[str, object]], tail: deque[str]) -> str | None:
    """Read a build's output to its end into `tail`; the error it ended with, or None."""
    for part in answer:
        if "error" in part:
            return str(part["error"]).strip()
        tail.extend(line for line in str(part.get("stream", "")).splitlines() if line.strip())
    return None


def ensure_base(client: docker.DockerClient, progress: Progress) -> None:
    """Have the base image: present, else pulled, else made on this host without any registry.

    Raises ImageError that tells both failures.
    """
    name = base()
    if present(client, name):
        return
    progress(f"base {name}: pulling")
    repository, _, tag = name.rpartition(":")
    try:
        client.api.pull(repository or name, tag=tag if repository else "latest")
        if present(client, name):
            return
        pull_error = "the engine pulled it, but does not have it"
    except (DockerException, requests.RequestException) as error:
        pull_error = str(getattr(error, "explanation", None) or error)
    progress(f"base {name}: no registry answers; making it on this host")
    _make_base(client, name, pull_error, progress)


def _make_base(client: docker.DockerClient, name: str, pull_error: str, progress: Progress) -> None:
    repository, _, tag = name.rpartition(":")
    if name != DEFAULT_BASE or not AIRGAP.is_file():
        raise ImageError(
            f"base {name}: cannot be pulled ({pull_error}), and only {DEFAULT_BASE} can be made here"
        )
    with tempfile.TemporaryDirectory(prefix="blackstart-base-") as folder:
        target = Path(folder) / "base.tar"
        try:
            made = subprocess.run(
                [str(AIRGAP), str(target)],
                capture_output=True,
                text=True,
                timeout=BUILD_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ImageError(f"base {name}: cannot be pulled ({pull_error}) nor made ({error})") from error
        if made.returncode != 0:
            lines = "\n".join(f"  | {line}" for line in made.stderr.splitlines()[-TAIL:])
            raise ImageError(
                f"base {name}: cannot be pulled ({pull_error}), and {AIRGAP.name} failed "
                f"(exit {made.returncode})\n{lines}"
            )
        try:
            client.api.import_image_from_file(
                str(target), repository=repository, tag=tag, changes=['CMD ["bash"]']
            )
        except (DockerException, requests.RequestException) as error:
            raise ImageError(f"base {name}: made, but the engine refuses it: {error}") from error
    progress(f"base {name}: made without a registry")
