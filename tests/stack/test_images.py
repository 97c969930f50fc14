"""Images by content: what is in the hash, what is built, and what a failure says."""

from __future__ import annotations

import contextlib
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, ImageNotFound

from blackstart.model.errors import ImageError
from blackstart.model.stack import Image
from blackstart.stack import images
from blackstart.stack.images import ensure_base, ensure_images, tag_of


class FakeApi:
    """The engine's low-level calls; a build answers with `lines` and then, if told, an error."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.builds: list[dict[str, Any]] = []
        self.contexts: list[set[str]] = []
        self.imported: list[tuple[str, str]] = []
        self.hooks: dict[str, list[Any]] = {"response": []}

    def build(self, *, fileobj: Any, tag: str, **rest: Any) -> Iterator[dict[str, object]]:
        self.builds.append({"tag": tag, **rest})
        with tarfile.open(fileobj=fileobj) as tar:
            self.contexts.append({member.name for member in tar})
        for n in range(30):
            yield {"stream": f"line {n}\n"}
        if self.engine.build_error is not None:
            yield {"error": self.engine.build_error}
        else:
            self.engine.there.add(tag)

    def pull(self, repository: str, tag: str) -> None:
        if self.engine.pull_error is not None:
            raise APIError(self.engine.pull_error)
        self.engine.there.add(f"{repository}:{tag}")

    def import_image_from_file(self, filename: str, repository: str, tag: str, changes: list[str]) -> None:
        assert Path(filename).read_text() == "tar"
        self.imported.append((repository, tag))


class FakeEngine:
    def __init__(self, *there: str) -> None:
        self.there = set(there)
        self.build_error: str | None = None
        self.pull_error: str | None = None
        self.api = FakeApi(self)

    @property
    def images(self) -> FakeEngine:
        return self

    def get(self, name: str) -> None:
        if name not in self.there:
            raise ImageNotFound(name)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "run.sh").write_text("exec true\n")
    return Image("one", tmp_path)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    monkeypatch.delenv("BLACKSTART_BASE", raising=False)
    return FakeEngine(images.DEFAULT_BASE)


def build(engine: FakeEngine, *wanted: Image) -> tuple[dict[str, str], list[str]]:
    said: list[str] = []
    tags = ensure_images(wanted, progress=said.append, client=engine)  # type: ignore[arg-type]  # a fake
    return tags, said


def test_the_tag_is_the_same_for_the_same_content(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    for file in image.context.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    assert tag_of(image) == tag_of(Image("one", other))
    assert tag_of(image).startswith("blackstart/one:")


@pytest.mark.parametrize("change", ["content", "name", "mode", "argument", "base"])
def test_every_change_that_matters_gives_another_tag(
    image: Image, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tag_of(image)
    script = image.context / "run.sh"
    match change:
        case "content":
            script.write_text("exec false\n")
        case "name":
            script.rename(image.context / "start.sh")
        case "mode":
            script.chmod(0o755)
        case "argument":
            image = Image(image.name, image.context, {"VERSION": "2"})
        case "base":
            monkeypatch.setenv("BLACKSTART_BASE", "debian:sid")
    assert tag_of(image) != before


@pytest.mark.parametrize("noise", ["__pycache__/a.pyc", ".mypy_cache/x", ".env", images.CA_FILE])
def test_caches_dot_files_and_the_ca_bundle_change_nothing(image: Image, noise: str) -> None:
    before = tag_of(image)
    path = image.context / noise
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    assert tag_of(image) == before


def test_what_is_there_is_not_built(image: Image, engine: FakeEngine) -> None:
    engine.there.add(tag_of(image))
    assert build(engine, image) == ({"one": tag_of(image)}, [])
    assert engine.api.builds == []


def test_what_is_missing_is_built_from_the_base_with_the_ca_bundle(image: Image, engine: FakeEngine) -> None:
    tags, said = build(engine, image)
    assert tags == {"one": tag_of(image)}
    assert engine.api.contexts == [{"Dockerfile", "run.sh", images.CA_FILE}]
    assert engine.api.builds[0]["buildargs"]["BASE"] == images.DEFAULT_BASE
    assert engine.api.builds[0]["labels"] == {images.LABEL: "one"}
    assert any("built in" in line for line in said)


def test_a_failed_build_shows_its_last_lines(image: Image, engine: FakeEngine) -> None:
    engine.build_error = "exit code 100"
    with pytest.raises(ImageError) as caught:
        build(engine, image)
    message = str(caught.value)
    assert "'one' failed to build: exit code 100" in message
    assert "line 29" in message
    assert "line 9\n" not in message


class StuckEngine:
    """An engine whose builds never end, on a real socket; `hung_up` once it has seen a client hang up."""

    def __init__(self) -> None:
        self.building = threading.Semaphore(0)
        self.hung_up = threading.Semaphore(0)
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                there = self.path.endswith(f"{images.DEFAULT_BASE}/json")
                self.send_response(200 if there else 404)
                body = b'{"Id": "1", "message": "No such image"}'
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                outer.asked.append(self.path)
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                line = b'{"stream": "Step 1"}\n'
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
                outer.building.release()
                self.connection.settimeout(20)
                # The context first, then, if the client hangs up, the end.
                with contextlib.suppress(ConnectionError):
                    while self.connection.recv(65536):
                        pass
                outer.hung_up.release()
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"tcp://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> StuckEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_ctrl_c_ends_the_running_builds_and_begins_no_other(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BLACKSTART_BASE", raising=False)
    wanted = [replace(image, name=name) for name in ("one", "two", "three", "four")]
    with StuckEngine() as engine:

        def interrupted(*_: Any, **__: Any) -> None:
            assert all(engine.building.acquire(timeout=10) for _ in range(images.PARALLEL))
            raise KeyboardInterrupt

        monkeypatch.setattr(images, "wait", interrupted)
        client = docker.DockerClient(base_url=engine.url, version="1.41")
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            ensure_images(wanted, progress=lambda _: None, client=client)
        assert time.monotonic() - began < 10
        for _ in range(images.PARALLEL):
            assert engine.hung_up.acquire(timeout=10), "it builds on"
        assert len(engine.asked) == images.PARALLEL
        assert client.api.hooks["response"] == []
        client.close()


def test_a_folder_without_dockerfile_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no Dockerfile in"):
        tag_of(Image("empty", tmp_path))


def test_the_base_is_pulled_if_it_is_not_there(engine: FakeEngine) -> None:
    engine.there.clear()
    ensure_base(engine, lambda _: None)  # type: ignore[arg-type]  # a fake
    assert images.DEFAULT_BASE in engine.there


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "airgap"
    monkeypatch.setattr(images, "AIRGAP", path)
    return path


def test_without_a_registry_the_base_is_made_here(engine: FakeEngine, script: Path) -> None:
    engine.there.clear()
    engine.pull_error = "no such host"
    script.write_text('#!/bin/sh\nprintf tar > "$1"\n')
    script.chmod(0o755)
    ensure_base(engine, lambda _: None)  # type: ignore[arg-type]  # a fake
    assert engine.api.imported == [("debian", "trixie-slim")]


def test_neither_pulled_nor_made_tells_both_reasons(engine: FakeEngine, script: Path) -> None:
    engine.there.clear()
    engine.pull_error = "no such host"
    script.write_text("#!/bin/sh\necho mmdebstrap is missing >&2\nexit 69\n")
    script.chmod(0o755)
    with pytest.raises(ImageError) as caught:
        ensure_base(engine, lambda _: None)  # type: ignore[arg-type]  # a fake
    assert "no such host" in str(caught.value)
    assert "mmdebstrap is missing" in str(caught.value)


def test_a_base_of_ones_own_is_never_made_here(
    engine: FakeEngine, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLACKSTART_BASE", "corp/base:1")
    engine.pull_error = "denied"
    script.touch()
    with pytest.raises(ImageError, match=r"corp/base:1: cannot be pulled \(denied\)"):
        ensure_base(engine, lambda _: None)  # type: ignore[arg-type]  # a fake
