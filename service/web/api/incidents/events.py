"""Live events about incidents, for the API and for pages."""

from typing import Annotated

from fastapi import Header, Request
from starlette.responses import Response

from service.web.api.requests import MayReadIncidents
from service.web.api.schemas import api_router
from service.web.live import LiveEvents

router = api_router("/api/v1/events", tags=["incidents"])


@router.get(
    "",
    summary="Follow what happens to incidents",
    response_class=Response,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "Server-sent events `incident` with `kind` (the type of the log's entry), `incident_id` and"
            " `ticket`; `ready` once the stream is up to date; `reset` where too much happened to say it one by one.",
        }
    },
)
async def events(
    request: Request,
    access: MayReadIncidents,
    _last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", max_length=40, description="The `id` of the event that was received last."),
    ] = None,
) -> Response:
    """Say that something happened to an incident, as it is committed; what happened is read by the other routes."""
    return await event_stream(request, access)


async def event_stream(request: Request, access: MayReadIncidents) -> Response:
    """Return the stream of a caller; raises TooManyRequestsError."""
    live: LiveEvents = request.app.state.live
    await access.trace()
    return await live.stream(request, access)
