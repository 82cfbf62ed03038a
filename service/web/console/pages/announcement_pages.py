"""The pages of announcements: the list, one announcement, its change, and its previews."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.errors import (
    Fault,
    GreffierError,
    InvalidInputError,
    NotFoundError,
    StateConflictError,
    VersionMismatchError,
)
from notifications.incident import AnnouncementState, Incident, announcement_state
from notifications.notice import Notice, NoticeState
from notifications.ports import Consent
from notifications.use_cases.announcements.announce import (
    cancel_announcement,
    carry_out_announcement,
    change_announcement,
    open_announcement,
)
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.release_notice import (
    FourEyesError,
    override_release,
    release_announcement,
    review_override,
)
from notifications.use_cases.notices.compose_released import compose_from_store
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.monitoring.alerts import raise_alerts
from service.monitoring.notice_findings import override_finding
from service.ports.drafts import DraftKind
from service.ports.store import AccessTransaction
from service.web.api.announcements.announcement_schemas import AnnouncementInFull, announcement_in_full
from service.web.api.context import ApiContext
from service.web.api.notices.notices import log_overrides
from service.web.api.requests import Context, Cursor
from service.web.console.draft_listing import drafts_for
from service.web.console.facts_form import fields_of
from service.web.console.failures import PageRoute
from service.web.console.forms import LONGEST_FIELD, Form, form_of, stated_version, write_once
from service.web.console.listing import access_under, following_path
from service.web.console.pages.announcement_form import (
    announcement_form,
    items_of,
    kinds_of,
    stated_announcement,
    typed_as,
)
from service.web.console.rendering import page, reader_language, reader_zone

router = APIRouter(prefix="/announcements", route_class=PageRoute, include_in_schema=False)

MayRead = Annotated[Access, Depends(Requires(Permission.ANNOUNCEMENT_READ))]
MayChange = Annotated[Access, Depends(Requires(Permission.ANNOUNCEMENT_CHANGE))]
MayRelease = Annotated[Access, Depends(Requires(Permission.NOTICE_RELEASE))]
MayOverride = Annotated[Access, Depends(Requires(Permission.NOTICE_OVERRIDE))]

_SHOWN, _SEE_OTHER = 50, 303


@router.get("")
async def list_page(request: Request, context: Context, access: MayRead, cursor: Cursor = None) -> Response:
    """Show announcements, newest first, and drafts that the reader can go on with."""
    found, following = await access.read(lambda tx: tx.incidents.page(access.page(_SHOWN, cursor), announcements=True))
    language = reader_language(request, access.caller)
    kept = () if cursor else await drafts_for(access, context.secret_box, language, (DraftKind.ANNOUNCEMENT,))
    values = {
        "announcements": found,
        "drafts": kept,
        "state_of": lambda item: announcement_state(item.facts.announcement, is_open=item.state == "open"),
        "kinds": kinds_of(context.agreements),
        "following": following_path(request, access.next_cursor(following)),
    }
    return page(request, "announcements", access.caller, values)


@router.get("/{announcement_id}")
async def one_page(request: Request, context: Context, access: MayRead, announcement_id: UUID) -> Response:
    """Show an announcement with the state of each customer."""
    return await _one(request, context, access, announcement_id)


@router.get("/{announcement_id}/change")
async def change_page(request: Request, context: Context, access: MayChange, announcement_id: UUID) -> Response:
    """Show the form filled with what is announced."""
    found = await access.read(lambda tx: tx.incidents.require_announcement(announcement_id))
    typed = typed_as(found, reader_zone(access.caller))
    return await announcement_form(request, context, access, typed, changing=found)


@router.post("/{announcement_id}/change")
async def change(request: Request, context: Context, access: MayChange, announcement_id: UUID) -> Response:
    """Replace what is announced. What is refused is shown again with everything that was typed."""
    form = await form_of(request, LONGEST_FIELD)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        facts = stated_announcement(form, context, access).to_domain(context)
        change_announcement(tx, act, announcement_id, stated_version(form["version"]), facts, context.agreements)
        return f"/announcements/{announcement_id}"

    faults: Sequence[Fault] = ()
    refused = ""
    try:
        return await write_once(access, form, work)
    except InvalidInputError as error:
        faults = error.faults
    except (StateConflictError, VersionMismatchError) as error:
        refused = _refused(error)
    found = await access.read(lambda tx: tx.incidents.require_announcement(announcement_id))
    typed = fields_of(form)
    return await announcement_form(request, context, access, typed, faults=faults, refused=refused, changing=found)


@router.post("/{announcement_id}/release")
async def release(request: Request, context: Context, access: MayRelease, announcement_id: UUID) -> Response:
    """Release every draft."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        release_announcement(tx, act, announcement_id, stated_version(form["version"]), context.agreements)
        return f"/announcements/{announcement_id}"

    return await _done(request, context, access, announcement_id, form, work)


@router.post("/{announcement_id}/override")
async def override(request: Request, context: Context, access: MayOverride, announcement_id: UUID) -> Response:
    """Release every draft past four eyes: with a reason, an alert, and a review afterwards."""
    form = await form_of(request)
    overridden: list[Notice] = []

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        open_announcement(tx, announcement_id, stated_version(form["version"]))
        drafts = [each for each in tx.notices.of_incident(announcement_id) if each.state is NoticeState.DRAFT]
        if not drafts:
            raise StateConflictError("no draft waits for its release")
        overridden[:] = [
            override_release(tx, act, draft.id, draft.version, context.agreements, form["reason"].strip())
            for draft in drafts
        ]
        raise_alerts(tx, act, [override_finding(tx, notice) for notice in overridden], context.settings.provider)
        return f"/announcements/{announcement_id}"

    response = await _done(request, context, access, announcement_id, form, work)
    if response.status_code == _SEE_OTHER:
        log_overrides(overridden)
    return response


@router.post("/{announcement_id}/review/{notice_id}")
async def review(
    request: Request, context: Context, access: MayRelease, announcement_id: UUID, notice_id: UUID
) -> Response:
    """Record the review of an emergency release, by somebody else than the person who released."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        if tx.notices.require(notice_id).incident_id != announcement_id:
            raise NotFoundError("notice", notice_id)
        notice = review_override(tx, act, notice_id, stated_version(form["version"]))
        alert = tx.alerts.by_key(override_finding(tx, notice).key)
        if alert is not None:
            tx.alerts.mark_seen(alert.id, act.now, act.actor)
        return f"/announcements/{announcement_id}"

    return await _done(request, context, access, announcement_id, form, work)


@router.post("/{announcement_id}/cancel")
async def cancel(request: Request, context: Context, access: MayChange, announcement_id: UUID) -> Response:
    """Cancel what is announced."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        cancel_announcement(tx, act, announcement_id, stated_version(form["version"]), context.agreements)
        return f"/announcements/{announcement_id}"

    return await _done(request, context, access, announcement_id, form, work)


@router.post("/{announcement_id}/carry-out")
async def carry_out(request: Request, context: Context, access: MayChange, announcement_id: UUID) -> Response:
    """Record that what was announced took place."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        carry_out_announcement(tx, act, announcement_id, stated_version(form["version"]))
        return f"/announcements/{announcement_id}"

    return await _done(request, context, access, announcement_id, form, work)


@router.get("/{announcement_id}/preview/{notice_id}")
async def preview(
    request: Request, context: Context, access: MayRead, announcement_id: UUID, notice_id: UUID
) -> Response:
    """Show the words of a draft as they would be sealed now, in the reader's language."""
    language = reader_language(request, access.caller)

    def work(tx: AccessTransaction) -> tuple[Incident, str, str]:
        announcement = tx.incidents.require_announcement(announcement_id)
        notice = tx.notices.require(notice_id)
        if notice.incident_id != announcement_id or notice.state is not NoticeState.DRAFT:
            raise StateConflictError("this is no draft of the announcement")
        composed, _ = compose_from_store(tx, notice, [], context.sealing, extra_languages=(language,))
        return announcement, composed.rendered[language].subject, composed.rendered[language].text

    announcement, subject, text = await access.read(work)
    values = {"announcement": announcement, "subject": subject, "text": text}
    return page(request, "announcement_preview", access.caller, values)


async def _done(
    request: Request, context: ApiContext, access: Access, announcement_id: UUID, form: Form, work: Any
) -> Response:
    try:
        return await write_once(access, form, work)
    except (InvalidInputError, StateConflictError, VersionMismatchError) as error:
        return await _one(request, context, access, announcement_id, error=error, reason=form["reason"])


def _refusal(error: GreffierError, found: AnnouncementInFull) -> tuple[str, dict[str, str]]:
    """Return the words that say why an act was refused, from the state of the announcement: (key, parts)."""
    if isinstance(error, InvalidInputError):
        return "announcements.refused_reason", {}
    if isinstance(error, VersionMismatchError):
        return "announcements.refused_changed", {}
    if isinstance(error, FourEyesError):
        return "announcements.refused_four_eyes", {}
    if found.outcome in {AnnouncementState.CARRIED_OUT, AnnouncementState.CANCELLED}:
        return "announcements.refused_ended", {}
    if any(notice.state == NoticeState.DRAFT for each in found.concerned for notice in each.notices):
        return "announcements.refused_drafts", {}
    missing = [each for each in found.concerned if each.consent is not None and each.consent.state != Consent.GIVEN]
    if missing:
        return "announcements.refused_consent", {"names": ", ".join(each.customer_name for each in missing)}
    return "announcements.refused_nothing", {}


def _refused(error: GreffierError) -> str:
    return "changed_meanwhile" if isinstance(error, VersionMismatchError) else "not_now"


async def _one(
    request: Request,
    context: ApiContext,
    access: Access,
    announcement_id: UUID,
    *,
    error: GreffierError | None = None,
    reason: str = "",
) -> Response:
    reading = access_under(access, Permission.ANNOUNCEMENT_READ) or access

    def work(tx: AccessTransaction) -> tuple[AnnouncementInFull, dict[UUID, Any]]:
        found = announcement_in_full(tx, tx.incidents.require_announcement(announcement_id))
        notices = [notice for each in found.concerned for notice in each.notices]
        letters = {task.notice_id: task for each in notices for task in tx.announcements.letters_of_notice(each.id)}
        return found, letters

    found, letters = await reading.read(work)
    notices = [notice for each in found.concerned for notice in each.notices]
    kind = kinds_of(context.agreements).get(found.kind)
    language = reader_language(request, access.caller)
    values = {
        "found": found,
        "letters": letters,
        "kind_title": found.kind if kind is None else kind.title.in_language(language)[1],
        "items": items_of(context.agreements, found.kind),
        "agreements": {each.id: each.title.in_language(language)[1] for each in context.agreements.by_id.values()},
        "drafts": sum(each.state == NoticeState.DRAFT for each in notices),
        "is_open": found.outcome in {AnnouncementState.OPEN, AnnouncementState.ELAPSED},
        "may_change": access.may(Permission.ANNOUNCEMENT_CHANGE),
        "may_release": access.may(Permission.NOTICE_RELEASE),
        "may_override": access.may(Permission.NOTICE_OVERRIDE),
        "actor": access.actor,
        "refusal": None if error is None else _refusal(error, found),
        "reason": reason,
    }
    status = 200 if error is None else 422 if isinstance(error, InvalidInputError) else 409
    return page(request, "announcement", access.caller, values, status=status)
