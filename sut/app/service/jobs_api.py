"""The HTTP interface of the queue."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response, Security
from pydantic import BaseModel, Field

from .api import BEARER, REFUSED, Guarded, Key, Limit, Name
from .fields import NAME, TEXT
from .jobs import Decision, Jobs, NewJob
from .logs import trace_id
from .state import LISTED

Session = Annotated[str, Query(min_length=1, max_length=128, pattern=NAME)]
Settle = Annotated[float, Query(ge=0, le=60)]
MISSED: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such job."},
    409: {"description": "Not as the job, or the session's jobs, are now."},
}
routes = APIRouter(route_class=Guarded, dependencies=[Security(BEARER)], responses={**REFUSED, **MISSED})


class JobRequest(BaseModel):
    """What is to be done; without a session the job is one of its own."""

    session: str | None = Field(default=None, min_length=1, max_length=128, pattern=NAME)
    kind: Literal["approval", "chat", "summary"] = "summary"
    input: str = Field(min_length=1, max_length=8000, pattern=TEXT)


class DecisionRequest(BaseModel):
    """What a person says to a job that waits."""

    approved: bool
    note: str = Field(default="", max_length=1000, pattern=TEXT)


@routes.post("/jobs", status_code=202)
async def post(body: JobRequest, request: Request, response: Response, key: Key) -> dict[str, Any]:
    """Accept a job, which is from then on owed a result; the same key finds it again."""
    job = NewJob(request.state.subject, key, body.session, body.kind, body.input, trace_id.get())
    accepted = await _jobs(request).accept(job)
    response.headers["Location"] = f"/jobs/{quote(key, safe='')}"
    return accepted


@routes.get("/jobs")
async def of_session(
    request: Request, session: Session, settle: Settle = 0, limit: Limit = LISTED
) -> dict[str, Any]:
    """The session's last jobs in order, and in `ids` those that are done.

    At most `limit` of them; `more` says whether there are older ones.
    409 while one is under way and the user's last job was accepted less than `settle` seconds ago.
    """
    return await _jobs(request).of_session(session, request.state.subject, settle, limit)


@routes.get("/jobs/{job}")
async def read(job: Name, request: Request) -> dict[str, Any]:
    """A job: `queued`, `running`, `waiting` for a decision, `done`, `failed`, or `dead` with the reason."""
    return await _jobs(request).read(job, request.state.subject)


@routes.post("/jobs/{job}/resume", status_code=202)
async def resume(job: Name, body: DecisionRequest, request: Request, key: Key) -> dict[str, Any]:
    """Decide for a job that waits; any worker resumes its graph."""
    decision = Decision(body.approved, body.note)
    return await _jobs(request).resume(job, request.state.subject, key, decision)


def _jobs(request: Request) -> Jobs:
    jobs = request.app.state.jobs
    assert isinstance(jobs, Jobs)
    return jobs
