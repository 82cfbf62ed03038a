"""One notice in review: its words in each language of its readers, and what differs from the customer's last one."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from notifications.errors import NotFoundError, StateConflictError, VersionMismatchError
from notifications.incident import Incident
from notifications.notice import Notice, NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.release_notice import review_override
from notifications.use_cases.notices.compose_released import compose_from_store
from notifications.wording import Rendered
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.monitoring.notice_findings import override_finding
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, new_form_id, see_other, stated_version
from service.web.console.pages.incident.differences import Piece, line_differences
from service.web.console.pages.incident.frame import (
    MayReadIncidents,
    MayReleaseNotices,
    context_of,
    problems_of,
    reading,
    shown_in_frame,
    standing_of,
)
from service.web.console.pages.incident.notices import ListedNotice, in_order, listed
from service.web.console.rendering import reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_STYLES = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_WENT_OUT = frozenset({NoticeState.RELEASED, NoticeState.SEALED})


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A notice as it would go out now, or as it was sealed."""

    incident: Incident
    item: ListedNotice
    words: Mapping[str, Rendered]
    #: the customer's notice before it
    previous: Notice | None
    previous_words: Mapping[str, Rendered]


def words_of(tx: AccessTransaction, context: ApiContext, notice: Notice) -> Mapping[str, Rendered]:
    """Return the words of a notice by language: as sealed, else as they would be sealed now."""
    sealed = tx.notices.seal(notice.id)
    if sealed is not None:
        return {
            each.language: Rendered(each.subject, each.text, each.html)
            for each in sealed.renderings
            if each.time_zone is None
        }
    readers = [contact for contact in tx.customers.contacts(notice.customer_id) if contact.active]
    composed, _ = compose_from_store(tx, notice, readers, context.sealing)
    return composed.rendered


def _of_incident(tx: AccessTransaction, incident_id: UUID, notice_id: UUID) -> Notice:
    notice = tx.notices.require(notice_id)
    if notice.incident_id != incident_id:
        raise NotFoundError("notice", notice_id)
    return notice


@router.get("/incidents/{incident_id}/notices/{notice_id}")
async def review_page(
    request: Request, access: MayReadIncidents, incident_id: UUID, notice_id: UUID, language: str = ""
) -> Response:
    """Show the words, the difference to the last notice, who wrote it, and the form that releases it."""
    return await _shown(request, access, incident_id, notice_id, language=language)


async def _shown(
    request: Request,
    access: Access,
    incident_id: UUID,
    notice_id: UUID,
    *,
    language: str = "",
    error: Exception | None = None,
) -> Response:
    context = context_of(request)

    def work(tx: AccessTransaction) -> Reviewed:
        notice = _of_incident(tx, incident_id, notice_id)
        incident = tx.incidents.require(incident_id)
        standing = standing_of(tx, incident)
        # One notice: what is shown of it is what the list shows.
        found = listed(tx, access, context, standing, in_order(replace(standing, notices=(notice,))))
        earlier = [
            each
            for each in tx.notices.of_incident(incident_id, notice.customer_id)
            if each.sequence < notice.sequence and each.state in _WENT_OUT
        ]
        previous = max(earlier, key=lambda each: each.sequence, default=None)
        item = found[0] if found else ListedNotice(notice, tx.customers.get(notice.customer_id), "", "")
        return Reviewed(
            incident,
            item,
            words_of(tx, context, notice),
            previous,
            {} if previous is None else words_of(tx, context, previous),
        )

    found = await access.read(work)
    spoken = reader_language(request, access.caller)
    languages = list(found.words)
    customer = found.item.customer
    preferred = (language, spoken, customer.language if customer is not None else "", *languages)
    shown = next(each for each in preferred if each in found.words)
    problems, status = problems_of(error)
    values: dict[str, Any] = {
        "problems": problems,
        "item": found.item,
        "notice": found.item.notice,
        "languages": languages,
        "shown": shown,
        "words_shown": found.words[shown],
        "previous": found.previous,
        "pieces": _pieces(found, shown),
        "may_release": access.may(Permission.NOTICE_RELEASE),
        "may_override": access.may(Permission.NOTICE_OVERRIDE),
        "may_review": access.may(Permission.NOTICE_RELEASE) and found.item.notice.released_by != access.actor,
        "form_id": new_form_id(),
        "reason": "",
    }
    return shown_in_frame(
        request, access, found.incident, "notices", values, template="incident_notice", status=status, frames=True
    )


def _pieces(found: Reviewed, language: str) -> Sequence[Piece] | None:
    """Return the lines that differ from the last notice; None where that one was not written in the language."""
    if found.previous is None or language not in found.previous_words:
        return None
    return line_differences(found.previous_words[language].text, found.words[language].text)


@router.get("/incidents/{incident_id}/notices/{notice_id}/words/{language}")
async def preview(
    request: Request, access: MayReadIncidents, incident_id: UUID, notice_id: UUID, language: str
) -> Response:
    """Return the letter as its reader would get it, in a sandbox: no script, no form, no link out of the frame."""
    context = context_of(request)
    words = await access.read(lambda tx: words_of(tx, context, _of_incident(tx, incident_id, notice_id)))
    if language not in words:
        raise NotFoundError("rendering of notice", notice_id)
    html = words[language].html
    digests = " ".join(
        f"'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" for style in _STYLES.findall(html)
    )
    policy = (
        f"sandbox; default-src 'none'; style-src {digests}; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": policy, "Content-Language": language})


@router.post("/incidents/{incident_id}/notices/{notice_id}/review")
async def review(request: Request, access: MayReleaseNotices, incident_id: UUID, notice_id: UUID) -> Response:
    """Record that a second person looked at an emergency release."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        _of_incident(tx, incident_id, notice_id)
        notice = review_override(tx, act, notice_id, stated_version(form["version"]))
        alert = tx.alerts.by_key(override_finding(tx, notice).key)
        if alert is not None:
            tx.alerts.mark_seen(alert.id, act.now, act.actor)

    try:
        await access.write(work)
    except (VersionMismatchError, StateConflictError) as error:
        return await _shown(request, reading(access), incident_id, notice_id, error=error)
    return see_other(f"/incidents/{incident_id}/notices/{notice_id}")
