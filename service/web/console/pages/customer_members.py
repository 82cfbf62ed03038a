"""The members of a customer on pages: who acts for it, invited and removed by its managers."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.errors import GreffierError, InvalidInputError, StateConflictError
from notifications.incident import LANGUAGES
from notifications.use_cases.audit_context import AuditContext
from service.auth.members import Member, invite_member, members_of, remove_member
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.auth.sign_in.links import new_link_secret
from service.ports.accounts import Role
from service.ports.store import AccessTransaction
from service.web.api.accounts.account_schemas import MemberIn, membership_members
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, see_other, stated, write_once
from service.web.console.rendering import page

router = APIRouter(prefix="/customers/{customer_id}/members", route_class=PageRoute, include_in_schema=False)

MayReadMembers = Annotated[Access, Depends(Requires(Permission.MEMBER_READ))]
MayChangeMembers = Annotated[Access, Depends(Requires(Permission.MEMBER_CHANGE))]

_CONFLICT, _UNPROCESSABLE = 409, 422
_ROLES = (Role.CUSTOMER_MEMBER, Role.CUSTOMER_MANAGER)
#: What the page may say of what was done just before.
_DONE = frozenset({"invited", "removed"})


@router.get("")
async def members_page(request: Request, access: MayReadMembers, customer_id: UUID, done: str = "") -> Response:
    """Show who acts for the customer, and who is invited to."""
    return await _show(request, access, customer_id, done=done if done in _DONE else "")


@router.post("")
async def invite(request: Request, context: Context, access: MayChangeMembers, customer_id: UUID) -> Response:
    """Invite an address, once for each time that the form was shown. It is no member until it accepts."""
    form, secret, provider = await form_of(request), new_link_secret(), context.settings.provider

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        wanted = stated(MemberIn, {name: form[name].strip() for name in ("email", "role", "language")})
        invite_member(
            tx,
            act,
            customer_id,
            email=wanted.email,
            role=wanted.role,
            language=wanted.language,
            secret=secret,
            console_url=provider.console_url,
            provider_name=provider.name,
        )
        return f"/customers/{customer_id}/members?done=invited"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, StateConflictError) as error:
        return await _show(request, access, customer_id, error=error, entered=form)


@router.post("/{member_id}/remove")
async def remove(request: Request, access: MayChangeMembers, customer_id: UUID, member_id: UUID) -> Response:
    """End a membership or withdraw an invitation, at once; the last manager does not remove itself here."""
    try:
        await access.write(lambda tx, act: remove_member(tx, act, customer_id, member_id))
    except StateConflictError as error:
        return await _show(request, access, customer_id, error=error, removing=True)
    return see_other(f"/customers/{customer_id}/members?done=removed")


async def _show(
    request: Request,
    access: Access,
    customer_id: UUID,
    *,
    done: str = "",
    error: GreffierError | None = None,
    entered: Form | None = None,
    removing: bool = False,
) -> Response:
    def work(tx: AccessTransaction) -> tuple[Customer, Sequence[Member]]:
        return tx.customers.require(customer_id), members_of(tx, customer_id)

    customer, members = await access.read(work)
    problem = ""
    if error is not None:
        problem = "email" if isinstance(error, InvalidInputError) else "last_manager" if removing else "known"
    values: dict[str, Any] = {
        "customer": customer,
        "members": [(each, membership_members(each.membership)) for each in members],
        "own": access.caller.account_id,
        "may_change": access.may(Permission.MEMBER_CHANGE),
        "roles": _ROLES,
        "languages": LANGUAGES,
        "entered": entered,
        "done": done,
        "problem": problem,
    }
    status = 200 if error is None else _UNPROCESSABLE if isinstance(error, InvalidInputError) else _CONFLICT
    return page(request, "members", access.caller, values, status=status)
