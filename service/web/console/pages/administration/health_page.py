"""How the service is: its parts in words, versions, checks, queues, and which process leads."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.time_zones import IANA_VERSION, is_old
from service.ports.health import Probe
from service.ports.store import AccessTransaction
from service.web.api.operations.channels import channels_now, configured_channels
from service.web.api.requests import Context, MayReadMetrics
from service.web.console.catalogues import has_text
from service.web.console.failures import PageRoute
from service.web.console.rendering import page

router = APIRouter(prefix="/administration/health", route_class=PageRoute, include_in_schema=False)

_MEBIBYTE = 2**20


@router.get("")
async def health_page(request: Request, context: Context, access: MayReadMetrics) -> Response:
    """Show what ``/readyz`` and ``/metrics`` say, for a person."""
    now, sources = access.clock.now(), context.metrics.sources
    configured = configured_channels(context.settings)

    def work(tx: AccessTransaction) -> dict[str, Any]:
        return {"figures": tx.figures.collect(now), "channels": channels_now(tx, now, configured)}

    probes: Mapping[str, Probe] = request.app.state.probes
    free_bytes = sources.free_bytes()
    values = await access.read(work)
    values |= {
        "probed": [(name, _words_of(name), probe()) for name, probe in sorted(probes.items())],
        "version": request.app.version,
        "zones": IANA_VERSION,
        "zones_are_old": is_old(now.date()),
        "leads": sources.leads(),
        "log_check": sources.log_check(),
        "head_stamped_at": sources.head_stamped_at(),
        "free_mebibytes": None if free_bytes is None else free_bytes // _MEBIBYTE,
        "is_embedded": context.settings.database.url is None,
        "data": str(context.settings.data),
    }
    return page(request, "health", access.caller, values)


def _words_of(part: str) -> str:
    return part if has_text(f"health.part.{part}", "en") else "other"
