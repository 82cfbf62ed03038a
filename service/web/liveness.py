"""The answer that a process is alive. It needs nothing of the application."""

from pydantic import BaseModel
from starlette.responses import Response

from notifications.time_zones import IANA_VERSION

#: where it is
PATH = "/healthz"


class HealthOut(BaseModel):
    """The process answers."""

    status: str
    #: release of the IANA time zones in use, such as 2026f
    time_zones: str


def alive() -> Response:
    """Return the answer."""
    return Response(HealthOut(status="ok", time_zones=IANA_VERSION).model_dump_json(), media_type="application/json")
