"""The HTTP interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, FastAPI, Header, Path, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.types import Lifespan

from .auth import subject
from .config import Settings
from .errors import Refusal
from .health import Dependency, report
from .logs import trace_id
from .metrics import Metrics
from .middleware import Bounded, Observed, sorted_set, sse
from .readiness import Readiness
from .runner import Emit
from .state import Answer, Turn

# Postgres stores no NUL: refused here, it costs no connection. Names hold no control characters at all.
NAME = r"^[^\x00-\x1f\x7f]*$"
TEXT = r"^[^\x00]*$"
Name = Annotated[str, Path(min_length=1, max_length=128, pattern=NAME)]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=128, pattern=NAME)]


class ChatRequest(BaseModel):
    """What a client says."""

    session: str = Field(min_length=1, max_length=128, pattern=NAME)
    message: str = Field(min_length=1, max_length=4000, pattern=TEXT)


class TurnRunner(Protocol):
    """What the API asks of the runner; both raise Refusal."""

    async def run(self, turn: Turn, emit: Emit | None = None) -> Answer:
        """Answer one turn."""

    async def read(self, session: str, subject: str) -> dict[str, object]:
        """Read a session."""


@dataclass(frozen=True)
class Parts:
    """What the routes are made of; set once the process has its event loop."""

    settings: Settings
    metrics: Metrics
    runner: TurnRunner
    readiness: Readiness
    dependencies: Mapping[str, Dependency]


class Guarded(APIRoute):
    """A route that asks who is there before it reads anything else: a stranger learns nothing from a 422."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler behind the check of the bearer token, whose `sub` is `request.state.subject`."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            keys = _parts(request).settings.secrets.jwt_keys()
            request.state.subject = subject(request.headers.get("Authorization"), keys)
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
}

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

users = APIRouter(route_class=Guarded, dependencies=[Security(BEARER)], responses=REFUSED)
routes = APIRouter()


@users.post("/chat")
async def chat(body: ChatRequest, request: Request, key: Key) -> dict[str, Any]:
    """Answer a message; the same key gets the same answer, once stored."""
    parts = _parts(request)
    turn = _turn(request, body, key)
    return _shown(parts, turn, await parts.runner.run(turn))


@users.post("/chat/stream", response_class=EventStream, responses=EVENTS)
async def chat_stream(body: ChatRequest, request: Request, key: Key) -> EventStream:
    """The answer as events: `token`*, `reset` (void so far), then `done` or `error`.

    `done` carries what `POST /chat` would answer, and comes only after the turn is stored.
    """
    parts = _parts(request)
    turn = _turn(request, body, key)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventStream(_events(parts, turn), headers=headers)


@users.get("/session/{session}")
async def session(session: Name, request: Request) -> dict[str, object]:
    """The stored turns in order, read from the primary; an unknown session is empty."""
    return await _parts(request).runner.read(session, request.state.subject)


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


def make_app(metrics: Metrics, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The application; its lifespan, or a test, puts Parts into `state.parts`."""
    app = FastAPI(title="Sample chat service", lifespan=lifespan)
    app.include_router(users)
    app.include_router(routes)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Bounded)
    app.add_middleware(Observed, metrics=metrics)
    return app


async def _events(parts: Parts, turn: Turn) -> AsyncIterator[bytes]:
    queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    task = asyncio.create_task(parts.runner.run(turn, lambda event, text: queue.put_nowait((event, text))))
    task.add_done_callback(lambda _: queue.put_nowait(("", "")))
    try:
        while (item := await queue.get())[0]:
            event, text = item
            yield sse(event, {"text": text} if event == "token" else {})
        yield sse("done", _shown(parts, turn, await task))
    except Refusal as refusal:
        yield sse("error", {"status": refusal.status, "detail": refusal.reason})
    finally:
        # The client may have gone: the turn is finished all the same, its key asks for it later.
        if not task.done():
            _finishing.add(task)
            task.add_done_callback(_finishing.discard)


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


def _shown(parts: Parts, turn: Turn, answer: Answer) -> dict[str, Any]:
    degraded = sorted_set(answer.degraded)
    if answer.replayed:
        parts.metrics.replays.inc()
    else:
        for mode in degraded:
            parts.metrics.degradations.labels(mode).inc()
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
