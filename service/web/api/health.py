"""Health, without sign-in: whether the service works and which part fails; no content."""

from collections.abc import Mapping

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from service.auth.authentication import Authenticator
from service.auth.permissions import Permission
from service.auth.route_guard import open_to_strangers
from service.ports.health import Probe
from service.web.liveness import PATH, HealthOut, alive

router = APIRouter(tags=["health"], dependencies=[Depends(open_to_strangers)])


class ReadinessOut(BaseModel):
    """Whether the service does its whole job, part by part."""

    status: str
    parts: dict[str, str]


@router.get(PATH, response_model=HealthOut, summary="The process answers")
async def healthz() -> Response:
    """Return 200 while the process can answer."""
    return alive()


@router.get(
    "/readyz",
    response_model=ReadinessOut,
    summary="The service does its whole job",
    responses={503: {"model": ReadinessOut}},
)
async def readyz(request: Request) -> Response:
    """Return 200 when log, keys, mail relay and worker are in order, else 503 with the parts that fail.

    A caller who may read what needs attention sees why a part fails. Other callers see ``failing``.
    """
    probes: Mapping[str, Probe] = request.app.state.probes
    authenticator: Authenticator = request.app.state.authenticator
    caller = await authenticator.known(request)
    known = caller is not None and caller.scope(Permission.ATTENTION_READ) is not None
    reasons = {name: probe() for name, probe in probes.items()}
    failing = any(reasons.values())
    parts = {name: "ok" if reason is None else reason if known else "failing" for name, reason in reasons.items()}
    body = ReadinessOut(status="degraded" if failing else "ok", parts=parts)
    return Response(body.model_dump_json(), 503 if failing else 200, media_type="application/json")
