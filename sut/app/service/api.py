"""The HTTP interface."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, TypeAlias

from fastapi import APIRouter, FastAPI, Header, Path, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.types import Lifespan

from .auth import subject
from .config import Settings
from .deadline import HEADER
from .documents_api import DocumentsRequest
from .errors import Refusal
from .fields import NAME, TEXT
from .health import Dependency, report
from .ingest import Document
from .limits import Limits
from .logs import trace_id
from .metrics import Metrics
from .middleware import Bounded, Observed, sorted_set, sse
from .readiness import Readiness
from .runner import Emit
from .state import LISTED, Answer, Turn

log = logging.getLogger(__name__)

Name = Annotated[str, Path(min_length=1, max_length=128, pattern=NAME)]
Limit = Annotated[int, Query(ge=1, le=LISTED)]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=128, pattern=NAME)]


class ChatRequest(BaseModel):
    """What a client says."""

    session: str = Field(min_length=1, max_length=128, pattern=NAME)
    message: str = Field(min_length=1, max_length=4000, pattern=TEXT)


class TurnRunner(Protocol):
    """What the API asks of the runner; both raise Refusal."""

    async def run(self, turn: Turn, emit: Emit | None = None) -> Answer:
        """Answer one turn."""

    async def read(self, session: str, subject: str, limit: int = LISTED) -> dict[str, Any]:
        """Read a session's last `limit` turns, with `degraded`, a list."""


class Ingests(Protocol):
    """What the API asks of whoever takes documents in."""

    async def ingest(self, subject: str, documents: Sequence[Document]) -> int:
        """How many were new or changed; raises Refusal."""


@dataclass(frozen=True)
class Parts:
    """What the routes are made of; set once the process has its event loop."""

    settings: Settings
    metrics: Metrics
    runner: TurnRunner
    readiness: Readiness
    dependencies: Mapping[str, Dependency]
    ingester: Ingests
    limits: Limits = field(default_factory=Limits)


class Guarded(APIRoute):
    """A route that asks who is there before it reads anything else: a stranger learns nothing from a 422."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler behind the limits and the bearer token, whose `sub` is `request.state.subject`."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            parts = _parts(request)
            user = subject(request.headers.get("Authorization"), parts.settings.secrets.jwt_keys())
            request.state.subject = user
            request.state.modes = await parts.limits.admit(user, request.headers.get(HEADER))
            return await handle(request)

        return guarded


class EventStream(StreamingResponse):
    """Named for the document."""

    media_type = "text/event-stream"


# For the document only: `Guarded` has looked at the token before.
BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT")
REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body cannot be read."},
    401: {"description": "No valid token."},
    403: {"description": "It belongs to someone else."},
    413: {"description": "The body is too long."},
    429: {"description": "Too many requests; Retry-After says when to come again."},
    503: {"description": "It cannot be answered now; Retry-After says when to come again."},
    504: {"description": "The caller's deadline is over."},
}

SPENT: dict[int | str, dict[str, Any]] = {402: {"description": "The session has used up its budget."}}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "event": {"enum": ["token", "reset", "done", "error"]},
                        "data": {"type": "string"},
                    },
                }
            }
        }
    }
}

#: Bytes of a body whose every character is escaped, where the usual limit is too small for that.
LARGER = {"/documents": 1 << 20, "/jobs": 1 << 17}
users = APIRouter(route_class=Guarded, dependencies=[Security(BEARER)], responses=REFUSED)
routes = APIRouter()


@users.post("/chat", responses=SPENT)
async def chat(body: ChatRequest, request: Request, key: Key) -> dict[str, Any]:
    """Answer a message; the same key gets the same answer, once stored."""
    parts = _parts(request)
    turn = _turn(request, body, key)
    await parts.limits.begin(turn)
    answer = await _answered(parts, turn)
    return _shown(parts, turn, answer, request.state.modes)


@users.post("/chat/stream", response_class=EventStream, responses=EVENTS)
async def chat_stream(body: ChatRequest, request: Request, key: Key) -> EventStream:
    """The answer as events: `token`*, `reset` (void so far), then `done` or `error`.

    `done` carries what `POST /chat` would answer, and comes only after the turn is stored.
    """
    parts = _parts(request)
    turn = _turn(request, body, key)
    await parts.limits.begin(turn)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    queue: Events = asyncio.Queue()
    # Begun here: were the stream never read, the place at the gate would never be given back.
    task = asyncio.create_task(_answered(parts, turn, lambda event, text: queue.put_nowait((event, text))))
    # The client may go: the turn is finished all the same, its key asks for it later.
    _finishing.add(task)
    task.add_done_callback(_finished)
    task.add_done_callback(lambda _: queue.put_nowait(("", "")))
    return EventStream(_events(parts, turn, queue, task, request.state.modes), headers=headers)


@users.get("/session/{session}")
async def session(session: Name, request: Request, limit: Limit = LISTED) -> dict[str, Any]:
    """The last stored turns in order, read from the primary; an unknown session is empty.

    At most `limit` of them; `more` says whether there are older ones.
    While no primary answers they are the standby's, and `degraded` names read-only.
    """
    parts = _parts(request)
    found = await parts.runner.read(session, request.state.subject, limit)
    found["degraded"] = sorted_set((*found["degraded"], *request.state.modes))
    _count(parts, found["degraded"])
    return found


@users.post("/documents", responses={502: {"description": "Embeddings of another space."}})
async def documents(body: DocumentsRequest, request: Request) -> dict[str, Any]:
    """Take documents in for this user's chats: all or none, and repeating is safe.

    502 when the embeddings are not of the index's space, 503 when embeddings or database do not answer.
    """
    given = body.given()
    changed = await _parts(request).ingester.ingest(request.state.subject, given)
    return {"ids": [document.id for document in given], "changed": changed}


@routes.get("/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@routes.get("/health/ready", responses={503: {"description": "Send nothing here."}})
async def ready(request: Request) -> JSONResponse:
    """200 only while this replica can write and is not draining."""
    readiness = _parts(request).readiness
    reason = "draining" if readiness.draining else readiness.reason
    return JSONResponse({"ready": readiness.ready, "reason": reason}, 200 if readiness.ready else 503)


@routes.get("/health", responses={503: {"description": "Unusable."}})
async def health(request: Request) -> JSONResponse:
    """Every dependency's state and latency; 503 when the service is unusable."""
    parts = _parts(request)
    found = await report(parts.dependencies)
    found["replica"], found["zone"] = parts.settings.node, parts.settings.zone
    return JSONResponse(found, 503 if found["status"] == "unusable" else 200)


@routes.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    parts = _parts(request)
    parts.metrics.ready.set(parts.readiness.ready)
    return Response(parts.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def make_app(
    metrics: Metrics, lifespan: Lifespan[FastAPI] | None = None, interface: Sequence[APIRouter] = (users,)
) -> FastAPI:
    """The application; its lifespan, or a test, puts Parts into `state.parts`.

    `interface` is what it offers its users beside the probes and metrics.
    """
    app = FastAPI(title="Sample chat service", lifespan=lifespan)
    for router in interface:
        app.include_router(router)
    app.include_router(routes)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Bounded, larger=LARGER)
    app.add_middleware(Observed, metrics=metrics)
    return app


async def _answered(parts: Parts, turn: Turn, emit: Emit | None = None) -> Answer:
    """Run a turn that has its session and its place at the gate, and give both back."""
    try:
        return await parts.runner.run(turn, emit)
    finally:
        parts.limits.end(turn)


async def _events(
    parts: Parts, turn: Turn, queue: Events, task: asyncio.Task[Answer], modes: tuple[str, ...]
) -> AsyncIterator[bytes]:
    while (item := await queue.get())[0]:
        event, text = item
        yield sse(event, {"text": text} if event == "token" else {})
    # The turn is over: its end closed the queue. Whatever came of it, the status has long been sent.
    if (error := task.exception()) is None:
        yield sse("done", _shown(parts, turn, task.result(), modes))
        return
    refusal = error if isinstance(error, Refusal) else Refusal(500, "internal error")
    parts.metrics.stream_errors.labels(str(refusal.status)).inc()
    if "stream-end" not in parts.settings.without:
        yield sse("error", {"status": refusal.status, "detail": refusal.reason})


def _finished(task: asyncio.Task[Answer]) -> None:
    """Ask what came of a turn, since its client may have left: asyncio would log the error's own words."""
    _finishing.discard(task)
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, Refusal):
        log.error("a turn failed", exc_info=error)


Events: TypeAlias = asyncio.Queue[tuple[str, str]]
_finishing: set[asyncio.Task[Answer]] = set()


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return JSONResponse({"detail": error.reason}, error.status, headers=error.headers)


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Without the input: half of a surrogate pair in it could not be sent back.
    shown = [{name: found[name] for name in ("type", "loc", "msg")} for found in error.errors()]
    return JSONResponse({"detail": shown}, 422)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    # Sent from outside of every middleware, so the header is not yet there; the server logs the error.
    trace = trace_id.get()
    return JSONResponse({"detail": "internal error", "trace_id": trace}, 500, headers={"X-Trace-Id": trace})


def _parts(request: Request) -> Parts:
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


def _turn(request: Request, body: ChatRequest, key: str) -> Turn:
    return Turn(body.session, key, request.state.subject, body.message, trace_id.get())


def _count(parts: Parts, degraded: Iterable[str]) -> None:
    for mode in degraded:
        parts.metrics.degradations.labels(mode).inc()


def _shown(parts: Parts, turn: Turn, answer: Answer, modes: tuple[str, ...]) -> dict[str, Any]:
    """The answer; `modes` are degradations of this request, not of the turn as it is stored."""
    degraded = sorted_set((*answer.degraded, *modes))
    if answer.replayed:
        parts.metrics.replays.inc()
    else:
        _count(parts, degraded)
    return {
        "session": turn.session,
        "id": turn.id,
        "answer": answer.text,
        "degraded": degraded,
        "replica": parts.settings.node,
        "model": answer.model,
        "trace_id": turn.trace_id,
        "replayed": answer.replayed,
    }
