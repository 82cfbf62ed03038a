"""The page of a notice: its sealed words, its proofs, how to check them, and its deliveries with their evidence."""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from notifications.customer.records import Contact, Customer
from notifications.delivery.acknowledgement import Acknowledgement
from notifications.delivery.delivery import Delivery, DeliveryAttempt
from notifications.delivery.question import Feedback
from notifications.errors import NotFoundError
from notifications.evidence.evidence import EvidenceEvent
from notifications.incident import AnnouncementState
from notifications.mail.bounce_parser import words_to_read
from notifications.mail.bounce_record import Bounce, BounceKind
from notifications.notice import Notice
from notifications.notice.seal import SealedNotice, SealedRendering
from notifications.ports import AnnouncedCustomer
from service.auth.permissions import Permission
from service.auth.refusals import ForbiddenError
from service.auth.route_guard import Access, Requires
from service.delivery.acknowledgements import (
    AcknowledgementStatus,
    acknowledgement_status,
    acts_for,
    own_acknowledgement,
    record_opening,
)
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.notices.notice_pdf import pdf_response
from service.web.api.notices.questions import names_of
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import Form
from service.web.console.listing import access_under, in_language
from service.web.console.pages.notice_summary import summary_of
from service.web.console.pages.question_list import ShownQuestion, shown_questions
from service.web.console.pages.trust_anchors import trust_anchors
from service.web.console.rendering import page, reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadNotices = Annotated[Access, Depends(Requires(Permission.NOTICE_READ))]

#: What the page may say of what was done just before.
_DONE = frozenset({"asked", "feedback"})
_STYLES = re.compile(r"<style>(.*?)</style>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RefusedForm:
    """A form of the page that was not taken, as it was filled in."""

    #: which form: ``question`` or ``feedback``
    name: str
    form: Form
    status: int
    #: key of the words that say why
    problem: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A bounce, with its words if a person must read them."""

    bounce: Bounce
    words: str


@dataclass(frozen=True, slots=True)
class Served:
    """One delivery, its contact and every attempt."""

    delivery: Delivery
    contact: Contact | None
    attempts: tuple[DeliveryAttempt, ...]
    #: empty for a reader who may not read bounces
    returned: tuple[Returned, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    notice: Notice
    customer: Customer | None
    sealed: SealedNotice | None
    served: tuple[Served, ...]
    #: None until the notice is sealed
    status: AcknowledgementStatus | None
    #: the reader's own acknowledgement
    own: Acknowledgement | None
    questions: Sequence[ShownQuestion]
    #: what people of the customer say of it, with their names
    feedback: Sequence[tuple[Feedback, str | None]]
    #: the consent that the agreement asks for, and whether the customer can still answer; None if it asks for none
    consent: AnnouncedCustomer | None
    consent_open: bool
    #: what became of the announcement; None for a notice of an incident
    announced: AnnouncementState | None


def _returned(bounce: Bounce) -> Returned:
    return Returned(bounce, words_to_read(bounce.content) if bounce.kind is BounceKind.UNKNOWN else "")


def _read(tx: AccessTransaction, access: Access, notice_id: UUID, *, contacts: bool, returned: bool) -> _Found:
    notice = tx.notices.require(notice_id)
    served = tuple(
        Served(
            delivery,
            tx.customers.contact(delivery.contact_id) if contacts and delivery.contact_id is not None else None,
            tuple(tx.deliveries.attempts(delivery.id)),
            tuple(_returned(bounce) for bounce in tx.deliveries.bounces(delivery.id)) if returned else (),
        )
        for delivery in tx.deliveries.of_notice(notice_id)
    )
    sealed, named = tx.notices.seal(notice_id), names_of(tx)
    consent = tx.announcements.customer(notice.incident_id, notice.customer_id) if notice.announces else None
    if consent is not None and consent.consent is None:
        consent = None
    announced = tx.announcements.state(notice.incident_id) if notice.announces else None
    return _Found(
        notice,
        tx.customers.get(notice.customer_id),
        sealed,
        served,
        None if sealed is None else acknowledgement_status(tx, access, notice),
        own_acknowledgement(tx, access, notice_id),
        shown_questions(tx, access, tx.questions.of_notice(notice_id)),
        [(each, named(each.by)) for each in tx.questions.feedback(notice_id)],
        consent,
        consent is not None and consent.facts_version == notice.facts_version and announced is AnnouncementState.OPEN,
        announced,
    )


@router.get("/notices/{notice_id}")
async def notice_page(
    request: Request, context: Context, access: MayReadNotices, notice_id: UUID, language: str = "", done: str = ""
) -> Response:
    """Show a notice. Its sealed words are in a separate frame, byte for byte."""
    await record_opening(access, notice_id, request.method, request.headers)
    return await show_notice(request, context, access, notice_id, language=language, done=done if done in _DONE else "")


async def show_notice(
    request: Request,
    context: ApiContext,
    access: Access,
    notice_id: UUID,
    *,
    language: str = "",
    done: str = "",
    refused: RefusedForm | None = None,
) -> Response:
    """Return the page of a notice; after a refused form with what was entered, and what is wrong with it."""
    reading = access_under(access, Permission.NOTICE_READ)
    if reading is None:
        raise ForbiddenError(Permission.NOTICE_READ)
    access = reading
    contacts, returned = access.may(Permission.CONTACT_READ), access.may(Permission.RETURNED_READ)
    found = await access.read(lambda tx: _read(tx, access, notice_id, contacts=contacts, returned=returned))
    spoken = reader_language(request, access.caller)
    values: dict[str, Any] = {
        "notice": found.notice,
        "exercise": found.notice.exercise,
        "customer": found.customer,
        "sealed": found.sealed,
        "served": found.served,
        "time_zone": "UTC" if found.customer is None else found.customer.time_zone,
        "standing": found.status,
        "own": found.own,
        "may_acknowledge": access.may(Permission.NOTICE_ACKNOWLEDGE) and acts_for(access, found.notice.customer_id),
        "may_ask": access.may(Permission.QUESTION_ASK) and acts_for(access, found.notice.customer_id),
        "may_reply": access.may(Permission.INCIDENT_CHANGE),
        "questions": found.questions,
        "feedback": found.feedback,
        "consent": found.consent,
        "consent_open": found.consent_open,
        "announced": found.announced,
        "consent_refused": refused is not None and refused.name == "consent",
        "own_feedback": next((each for each, _ in found.feedback if each.by == access.actor), None),
        "done": done,
        "refused": refused,
        "at_provider": access.scope.at_provider,
        "sees_incidents": access.may(Permission.INCIDENT_READ),
        "event_uri": lambda event: EvidenceEvent(event).uri,
        "makes_pdfs": context.sealing.pdf_maker is not None,
        "shown": None,
        "document": None,
    }
    if found.sealed is not None:
        document = json.loads(found.sealed.document)
        title, title_language = in_language(document["title"], spoken)
        values |= {
            "document": document,
            # An announcement has no effect of an incident to sum up: its words are short.
            "summary": None if "announcement" in document else summary_of(document, spoken),
            "anchors": await trust_anchors(context),
            "document_sha256": hashlib.sha256(found.sealed.document).hexdigest(),
            "title": title,
            "title_language": title_language,
            "renderings": _renderings(found.sealed),
            "shown": _rendering(found.sealed, language or spoken),
        }
    status = 200 if refused is None else refused.status
    return page(request, "notice", access.caller, values, status=status, frames=True)


@router.get("/notices/{notice_id}/words/{language}")
async def sealed_words(request: Request, access: MayReadNotices, notice_id: UUID, language: str) -> Response:
    """Return the sealed words as HTML, byte for byte, in a sandbox without scripts, forms or links out of the frame."""

    def work(tx: AccessTransaction) -> SealedRendering | None:
        sealed = None if tx.notices.get(notice_id) is None else tx.notices.seal(notice_id)
        return (
            None if sealed is None else next((each for each in _renderings(sealed) if each.language == language), None)
        )

    rendering = await access.read(work)
    if rendering is None:
        raise NotFoundError("rendering of notice", notice_id)
    await record_opening(access, notice_id, request.method, request.headers)
    digests = " ".join(
        f"'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
        for style in _STYLES.findall(rendering.html)
    )
    policy = (
        f"sandbox; default-src 'none'; style-src {digests}; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )
    headers = {"Content-Security-Policy": policy, "Content-Language": rendering.language}
    return HTMLResponse(rendering.html, headers=headers)


@router.get("/notices/{notice_id}/notice.pdf")
async def notice_pdf(
    request: Request, context: Context, access: MayReadNotices, notice_id: UUID, language: str = ""
) -> Response:
    """Return the PDF of a notice in a language."""
    return await pdf_response(request, context, access, notice_id, language or reader_language(request, access.caller))


def _rendering(sealed: SealedNotice, language: str) -> SealedRendering | None:
    """Return the rendering in a language, else the first rendering."""
    by_language = {each.language: each for each in _renderings(sealed)}
    return by_language.get(language) or next(iter(by_language.values()), None)


def _renderings(sealed: SealedNotice) -> list[SealedRendering]:
    """Return the renderings in the customer's time zone. Contacts in another time zone get their own by mail."""
    return [each for each in sealed.renderings if each.time_zone is None]
