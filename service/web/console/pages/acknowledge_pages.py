"""Pages of acknowledgements: the button on a notice, the link in a mail, and the provider's list of an incident."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError
from starlette.responses import Response

from notifications.delivery.acknowledgement import AcknowledgedVia
from notifications.errors import Fault, InvalidInputError
from notifications.incident import LANGUAGES, Incident
from notifications.use_cases.notices.acknowledge_notice import acknowledge_notice
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires, open_to_strangers
from service.auth.sign_in.links import LinkVoidError
from service.delivery.acknowledge_link import AcknowledgeLinks, Linked
from service.delivery.acknowledgements import AcknowledgementStatus, incident_acknowledgement_status
from service.ports.store import AccessTransaction
from service.web.api.notices.acknowledgements import AcknowledgementIn
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, see_other, verify_not_another_site
from service.web.console.rendering import page

#: Pages for people who are signed in.
router = APIRouter(route_class=PageRoute, include_in_schema=False)
#: Pages behind the link in a mail; the link carries its own secret.
of_strangers = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(open_to_strangers)])

MayAcknowledge = Annotated[Access, Depends(Requires(Permission.NOTICE_ACKNOWLEDGE))]
MayReadIncidents = Annotated[Access, Depends(Requires(Permission.INCIDENT_READ))]
Token = Annotated[str, Path(max_length=200)]

_GONE, _UNPROCESSABLE = 410, 422
_SHOWN_MAX = 500
#: Pages behind a link must not be in a search index or in a cache.
_UNINDEXED = {"X-Robots-Tag": "noindex, nofollow"}


# -- by the button on a notice


@router.post("/notices/{notice_id}/acknowledgement")
async def acknowledge(request: Request, access: MayAcknowledge, notice_id: UUID) -> Response:
    """Acknowledge a notice in the caller's name, for the customer of the notice."""
    note = _note((await form_of(request))["note"])
    await access.write(lambda tx, act: acknowledge_notice(tx, act, notice_id, via=AcknowledgedVia.CONSOLE, note=note))
    return see_other(f"/notices/{notice_id}#acknowledgement")


def _note(text: str) -> str | None:
    """Return the note of a form, validated as in the API; raises InvalidInputError."""
    if not text.strip():
        return None
    try:
        return AcknowledgementIn(note=text).note
    except ValidationError as error:
        raise InvalidInputError(*(Fault("note", each["msg"]) for each in error.errors())) from None


# -- the acknowledgements of an incident, for the provider


@dataclass(frozen=True, slots=True)
class Entry:
    """The acknowledgement status of one customer, under the names that the template reads."""

    standing: AcknowledgementStatus
    #: the time for the acknowledgement is over, and nobody acknowledged
    late: bool


@dataclass(frozen=True, slots=True)
class Entries:
    """The acknowledgement status of every customer with a notice about an incident."""

    entries: list[Entry]
    acknowledged: int
    not_acknowledged: int
    more: bool


@router.get("/incidents/{incident_id}/acknowledgements")
async def of_incident(request: Request, access: MayReadIncidents, incident_id: UUID) -> Response:
    """Show who has not acknowledged the latest notice about an incident, nearest time first; then who has."""
    now = access.clock.now()

    def work(tx: AccessTransaction) -> tuple[Incident, Entries]:
        incident = tx.incidents.require(incident_id)
        found = incident_acknowledgement_status(tx, access, incident_id, _SHOWN_MAX)
        entries = [Entry(each, _is_late(each, now)) for each in found.items]
        more = found.acknowledged + found.not_acknowledged > len(entries)
        return incident, Entries(entries, found.acknowledged, found.not_acknowledged, more)

    incident, entries = await access.read(work)
    values = {"ticket": incident.ticket, "exercise": incident.exercise, "found": entries}
    return page(request, "acknowledgements", access.caller, values)


def _is_late(status: AcknowledgementStatus, now: datetime) -> bool:
    return status.wanted_by is not None and status.wanted_by <= now and not status.is_acknowledged


# -- by the link in a mail


@of_strangers.get("/acknowledge/{token}")
async def show_link(request: Request, token: Token) -> Response:
    """Show the notice of the link and what the button does. Opening the page changes nothing."""
    return await _show(request, token)


@of_strangers.post("/acknowledge/{token}")
async def acknowledge_by_link(request: Request, token: Token) -> Response:
    """Acknowledge in the name of the contact that the link was mailed to.

    1. A page of this service showed the form for this link within the last hour; otherwise the page is shown again.
    2. The person ticked the box; it is never ticked in advance.
    3. The link is valid, and the acknowledgement uses it up.
    """
    verify_not_another_site(request)
    form, context, links = await form_of(request), request.app.state.api_context, _links(request)
    now = context.clock.now()
    # 1.
    try:
        links.verify_page(token, form["page"], now)
    except LinkVoidError:
        return await _show(request, token, error="page_over")
    # 2.
    if form["received"] != "yes":
        return await _show(request, token, error="not_ticked")
    # 3.
    language = await context.unit_of_work.read(lambda tx: links.language(tx, token))
    try:
        await context.unit_of_work.write(lambda tx: links.acknowledge(tx, token, now, context.identifiers))
    except LinkVoidError:
        return await _void(request, token)
    return see_other(f"/acknowledged?language={language}")


@of_strangers.get("/acknowledged")
async def acknowledged(request: Request, language: str = "") -> Response:
    """Say that the notice is acknowledged. The address of this page contains no secret."""
    values = {"name": "acknowledge", "way_on": ""}
    known = language if language in LANGUAGES else None
    return page(request, "message", None, values, headers=_UNINDEXED, language=known)


def _links(request: Request) -> AcknowledgeLinks:
    links: AcknowledgeLinks = request.app.state.acknowledge_links
    return links


async def _show(request: Request, token: str, *, error: str = "") -> Response:
    context, links = request.app.state.api_context, _links(request)
    now = context.clock.now()
    try:
        linked: Linked = await context.unit_of_work.read(lambda tx: links.read(tx, token, now))
    except LinkVoidError:
        return await _void(request, token)
    document = json.loads(linked.sealed.document)
    values = {
        "ticket": document["ticket"],
        "sequence": document["sequence"],
        "tlp": document["tlp"],
        "exercise": document.get("exercise") is True,
        "name": linked.contact.name,
        "code": links.page_code(token, now),
        "error": error,
    }
    return page(
        request,
        "acknowledge",
        None,
        values,
        status=_UNPROCESSABLE if error else 200,
        headers=_UNINDEXED,
        secret_in_path=True,
        language=linked.contact.language,
    )


async def _void(request: Request, token: str) -> Response:
    """Return the same answer for every invalid link, so that nobody learns whether it was used, expired or forged."""
    links = _links(request)
    language = await request.app.state.api_context.unit_of_work.read(lambda tx: links.language(tx, token))
    return page(
        request,
        "failure",
        None,
        {"name": "acknowledge_void", "status": _GONE, "retry_after": ""},
        status=_GONE,
        headers=_UNINDEXED,
        secret_in_path=True,
        language=language,
    )
