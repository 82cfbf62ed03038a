"""What a customer states of itself, so that its notices name its own legal duties."""

from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.duties.state_legal_profile import state_legal_profile
from service.web.api.duty_schemas import EntityIn, LegalProfileOut, entity_of_input, legal_profile_out
from service.web.api.requests import (
    Answer,
    Context,
    IfMatch,
    MayChangeProfiles,
    MayReadProfiles,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/customers", tags=["duties"])


@router.get("/{customer_id}/legal-profile", response_model=LegalProfileOut, summary="What a customer states of itself")
async def read(access: MayReadProfiles, customer_id: UUID) -> Response:
    """Return the version in force; version 0 if the customer states nothing."""

    def work(tx: Transaction) -> LegalProfileOut:
        tx.customers.require(customer_id)
        return legal_profile_out(tx.duties.legal_profile(customer_id))

    found = await access.read(work)
    return json_response(found, {"ETag": etag(found.version)})


@router.put("/{customer_id}/legal-profile", response_model=LegalProfileOut, summary="State what a customer is")
async def put(
    request: Request,
    context: Context,
    access: MayChangeProfiles,
    customer_id: UUID,
    stated: EntityIn,
    if_match: IfMatch = None,
) -> Response:
    """Record a new version: sectors, Member State, region, LEI. Earlier versions stay. Its truth is not checked."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        def current() -> int:
            profile = tx.duties.legal_profile(customer_id)
            return 0 if profile is None else profile.version

        tx.customers.require(customer_id)
        version = expected_version(if_match, current)
        made = state_legal_profile(
            tx, act, customer_id, entity_of_input(stated), version, context.agreements.duties
        )  # fmt: skip
        return Answer(legal_profile_out(made), headers={"ETag": etag(made.version)})

    return await change(request, access, None, work)
