"""Members of a customer: the people who act for it. The customer's own managers change them."""

from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from notifications.use_cases.audit_context import AuditContext
from service.auth.members import Member, invite_member, members_of, remove_member
from service.auth.sign_in.links import new_link_secret
from service.ports.store import AccessTransaction
from service.web.api.accounts.account_schemas import MemberIn, MemberList, MemberOut, membership_members
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    MayChangeMembers,
    MayReadMembers,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/customers", tags=["members"])


@router.get("/{customer_id}/members", response_model=MemberList, summary="Who acts for a customer")
async def list_members(access: MayReadMembers, customer_id: UUID) -> Response:
    """Return the people who act for the customer and those who are invited. Their other roles are not shown."""
    found = await access.read(lambda tx: members_of(tx, customer_id))
    return json_response(MemberList.model_construct(items=[_out(member) for member in found]))


@router.post("/{customer_id}/members", status_code=201, response_model=MemberOut, summary="Invite a member")
async def invite(
    request: Request,
    context: Context,
    access: MayChangeMembers,
    customer_id: UUID,
    member: MemberIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Invite an address to act for the customer. The person becomes a member by accepting.

    The answer is the same whether or not an account with this address exists.
    """
    secret = new_link_secret()

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        invited = invite_member(
            tx,
            act,
            customer_id,
            email=member.email,
            role=member.role,
            language=member.language,
            secret=secret,
            console_url=context.settings.provider.console_url,
            provider_name=context.settings.provider.name,
        )
        return Answer(_out(invited), 201)

    return await change(request, access, idempotency_key, work)


@router.delete("/{customer_id}/members/{member_id}", response_model=MemberList, summary="Remove a member")
async def remove(request: Request, access: MayChangeMembers, customer_id: UUID, member_id: UUID) -> Response:
    """End a membership or withdraw an invitation immediately; returns the remaining members.

    The last manager cannot remove itself with this route, but can leave: `DELETE /account/memberships/{member_id}`.
    """

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        remove_member(tx, act, customer_id, member_id)
        return Answer(MemberList.model_construct(items=[_out(member) for member in members_of(tx, customer_id)]))

    return await change(request, access, None, work)


def _out(member: Member) -> MemberOut:
    members = membership_members(member.membership)
    del members["customer_id"]
    return MemberOut.model_construct(account_id=member.membership.account_id, email=member.email, **members)
