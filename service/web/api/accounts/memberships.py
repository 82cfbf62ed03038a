"""The caller's memberships: the customers that the caller acts for, or is invited to act for."""

from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from notifications.use_cases.audit_context import AuditContext
from service.auth.memberships import accept_membership, leave_membership, own_memberships
from service.ports.store import AccessTransaction
from service.web.api.accounts.account_schemas import MembershipList, MembershipOut, membership_out
from service.web.api.requests import Answer, IdempotencyKey, Oneself, change, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/account/memberships", tags=["account"])


@router.get("", response_model=MembershipList, summary="One's memberships and invitations")
async def list_own(access: Oneself) -> Response:
    """Return the customers that the caller acts for, and the invitations."""
    found = await access.read_own(lambda tx: _list(tx, access.caller.account_id))
    return json_response(found)


@router.post("/{member_id}/accept", response_model=MembershipOut, summary="Accept an invitation of a customer")
async def accept(
    request: Request, access: Oneself, member_id: UUID, idempotency_key: IdempotencyKey = None
) -> Response:
    """Accept an invitation and become a member of the customer. A second request gets the same answer."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(membership_out(accept_membership(tx, act, access.caller.account_id, member_id)))

    return await change(request, access, idempotency_key, work)


@router.delete("/{member_id}", response_model=MembershipList, summary="Leave a customer, or decline its invitation")
async def leave(request: Request, access: Oneself, member_id: UUID) -> Response:
    """End the caller's membership or decline an invitation immediately; returns the remaining memberships.

    Everybody can leave, including the last manager. A role that an identity provider states is granted
    again at the next sign-in.
    """

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        leave_membership(tx, act, access.caller.account_id, member_id)
        return Answer(_list(tx, access.caller.account_id))

    return await change(request, access, None, work)


def _list(tx: AccessTransaction, account_id: UUID) -> MembershipList:
    return MembershipList.model_construct(items=[membership_out(own) for own in own_memberships(tx, account_id)])
