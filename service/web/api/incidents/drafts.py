"""Drafts of incidents: kept for the account that writes them, and those that alerts made for every analyst."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import Request
from pydantic import AfterValidator, Field
from starlette.responses import Response

from notifications.errors import VersionMismatchError
from notifications.use_cases.audit_context import AuditContext
from service.auth.route_guard import Access
from service.drafts.drafts import DraftContent, content_of, discard_draft, drafts_of, put_draft, require_draft
from service.drafts.expiry import KEPT_FOR
from service.ports.drafts import Draft, DraftKind
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.fields import Moment, Out, Schema
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    IfMatch,
    MayDeclareIncidents,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/drafts", tags=["drafts"])

#: Drafts of announcements are kept by their page, and are none of these.
_KIND = DraftKind.INCIDENT


def _writable(facts: dict[str, Any]) -> dict[str, Any]:
    # Nothing else looks into a draft, and an answer with half a character cannot be written.
    try:
        json.dumps(facts, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair") from None
    return facts


class DraftIn(Schema):
    """What a draft is to hold."""

    facts: Annotated[dict[str, Any], AfterValidator(_writable)] = Field(
        description="As in a declaration, as far as they are known; checked when it is declared."
    )


class DraftOut(Out):
    """A draft."""

    id: UUID
    version: int = Field(description="Also the ETag.")
    source: str = Field(description="`person`: only its account sees it. `alert`: every analyst may work on it.")
    created_at: Moment
    changed_at: Moment
    changed_by: str = Field(description="Who changed it last.")
    resolved_at: Moment | None = Field(description="When its alert was resolved.")
    expires_at: Moment = Field(description="When it is erased if nobody changes it.")
    facts: dict[str, Any] = Field(description="As in a declaration, as far as they are known.")
    alert: dict[str, Any] = Field(description="The alert that made it; empty for a person's draft.")


class DraftList(Out):
    """The drafts of the caller and those that alerts made, the last one that was changed first."""

    items: list[DraftOut]


def draft_out(context: ApiContext, draft: Draft) -> DraftOut:
    """Return the schema of a draft."""
    content = content_of(context.secret_box, draft)
    return DraftOut.model_construct(
        id=draft.id,
        version=draft.version,
        source="person" if draft.alert_key is None else "alert",
        created_at=draft.created_at,
        changed_at=draft.changed_at,
        changed_by=draft.changed_by,
        resolved_at=draft.resolved_at,
        expires_at=draft.changed_at + KEPT_FOR,
        facts=dict(content.facts),
        alert=dict(content.alert),
    )


@router.get("", response_model=DraftList, summary="List drafts")
async def list_drafts(context: Context, access: MayDeclareIncidents) -> Response:
    """Return the caller's own drafts and those that alerts made."""
    account_id = access.caller.account_id
    found = await access.read(lambda tx: [draft_out(context, draft) for draft in drafts_of(tx, account_id, _KIND)])
    return json_response(DraftList.model_construct(items=found))


@router.post("", status_code=201, response_model=DraftOut, summary="Keep a draft")
async def add_draft(
    request: Request,
    context: Context,
    access: MayDeclareIncidents,
    stated: DraftIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Keep facts that are not declared. Nothing is classified and nobody is notified."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        draft_id = act.identifiers.new_id()
        return _put(tx, act, context, access, draft_id, 0, stated, 201)

    return await change(request, access, idempotency_key, work)


@router.get("/{draft_id}", response_model=DraftOut, summary="Read a draft")
async def read_draft(context: Context, access: MayDeclareIncidents, draft_id: UUID) -> Response:
    """Return one draft."""
    account_id = access.caller.account_id
    draft = await access.read(lambda tx: require_draft(tx, draft_id, account_id, _KIND))
    return json_response(draft_out(context, draft), {"ETag": etag(draft.version)})


@router.put("/{draft_id}", response_model=DraftOut, summary="Change a draft")
async def change_draft(
    request: Request,
    context: Context,
    access: MayDeclareIncidents,
    draft_id: UUID,
    stated: DraftIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replace the facts of a draft; 412 where somebody else changed it since it was read."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        standing = require_draft(tx, draft_id, access.caller.account_id, _KIND)
        version = expected_version(if_match, lambda: standing.version)
        _verify_version(standing, version)
        return _put(tx, act, context, access, draft_id, version, stated)

    return await change(request, access, idempotency_key, work)


@router.delete("/{draft_id}", response_model=DraftOut, summary="Discard a draft")
async def remove_draft(
    request: Request,
    context: Context,
    access: MayDeclareIncidents,
    draft_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Erase a draft and return it as it was; that an alert's draft was discarded is in the log."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        standing = require_draft(tx, draft_id, access.caller.account_id, _KIND)
        _verify_version(standing, expected_version(if_match, lambda: standing.version))
        out = draft_out(context, standing)
        discard_draft(tx, act, context.secret_box, standing)
        return Answer(out, kept=out.model_copy(update={"facts": {}, "alert": {}}))

    return await change(request, access, idempotency_key, work)


def _verify_version(draft: Draft, version: int) -> None:
    if draft.version != version:
        raise VersionMismatchError("draft", draft.id, version, draft.version)


def _put(
    tx: AccessTransaction,
    act: AuditContext,
    context: ApiContext,
    access: Access,
    draft_id: UUID,
    version: int,
    stated: DraftIn,
    status: int = 200,
) -> Answer:
    content = DraftContent(stated.facts)
    draft = put_draft(tx, act, context.secret_box, draft_id, access.caller.account_id, version, content, _KIND)
    out = draft_out(context, draft)
    headers = {"ETag": etag(draft.version)}
    if status != 200:  # noqa: PLR2004 - HTTP
        headers["Location"] = f"/api/v1/drafts/{draft.id}"
    # The facts of a draft are encrypted where they are kept; an answer that is kept does not hold them in clear.
    return Answer(out, status, headers, kept=out.model_copy(update={"facts": {}, "alert": {}}))
