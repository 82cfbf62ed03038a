"""The problem schema, declared on every route."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from fastapi import APIRouter, FastAPI, params
from pydantic import BaseModel, Field


class FaultOut(BaseModel):
    """One faulty field."""

    field: str = Field(description="Dotted path, such as `affected_customers.0.customer_id`.")
    reason: str


class ProblemOut(BaseModel):
    """A problem (RFC 9457)."""

    type: str = Field(examples=["urn:greffier:problem:invalid-input"])
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FaultOut] | None = None


#: FastAPI would build the schema of a ``model`` again for each status of each route, which costs over a second at each
#: start. So statuses only refer to the schema. It is in the document because one route names it as a model.
_PROBLEM = {"schema": {"$ref": "#/components/schemas/ProblemOut"}}


def _problem(description: str) -> dict[str, Any]:
    content = {"application/problem+json": _PROBLEM, "application/json": _PROBLEM}
    return {"description": description, "content": content}


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: _problem("The request is not well formed."),
    401: _problem("A valid bearer token or session is required."),
    403: _problem("None of the caller's roles carries the permission, or a session sent no CSRF proof."),
    404: _problem("There is no such object, or not for the caller."),
    409: _problem("The object's state does not allow this."),
    412: _problem("The object changed since it was read."),
    413: _problem("The body is larger than this service takes."),
    422: _problem("The input breaks a rule; `errors` names the fields and the reasons."),
    428: _problem("If-Match is required for this change."),
    429: _problem("Too many requests; `Retry-After` says when the next is taken."),
    503: _problem("A part that this needs is not available now; nothing was changed."),
}


def api_router(prefix: str, *, tags: list[str | Enum], dependencies: Sequence[params.Depends] = ()) -> APIRouter:
    """Return a router for routes of the API under a whole path; each route declares the problems that it may answer.

    The application takes these routes as they are. FastAPI builds a route that is included under a prefix once more for
    each application, half a second for each start.
    """
    return APIRouter(prefix=prefix, tags=tags, dependencies=dependencies, responses=PROBLEM_RESPONSES)


def add_routes(app: FastAPI, *routers: APIRouter) -> None:
    """Put the routes of routers into an application, in this order, without building them again."""
    for router in routers:
        app.router.routes.extend(router.routes)
