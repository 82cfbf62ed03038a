"""Forms for the caller's own sessions, memberships and API tokens."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.audit_context import AuditContext
from service.auth.accounts import choose_time_zone
from service.auth.authentication import SESSION_COOKIE
from service.auth.memberships import accept_membership, leave_membership
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.auth.tokens import MAX_TOKEN_DAYS, issue_own_token, new_token, revoke_token
from service.ports.store import AccessTransaction
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, see_other, take_cookie
from service.web.console.rendering import page
from service.web.console.sign_in.account_page import Person, account_page, sign_in_of

router = APIRouter(prefix="/account", route_class=PageRoute, include_in_schema=False)

_NAME_CHARACTERS = 100


@router.post("/sessions/end")
async def end_sessions(request: Request, access: Person) -> Response:
    """End every session of the caller, including this one."""
    await sign_in_of(request).sign_out_everywhere(access.caller.account_id)
    answer = see_other("/sign-in?notice=signed_out")
    take_cookie(answer, SESSION_COOKIE)
    return answer


@router.post("/sessions/{session_id}/end")
async def end_session(request: Request, access: Person, session_id: UUID) -> Response:
    """End one of the caller's sessions."""
    await sign_in_of(request).sign_out(access.caller.account_id, session_id)
    return see_other("/account?done=session")


@router.post("/memberships/{member_id}/accept")
async def accept(access: Person, member_id: UUID) -> Response:
    """Accept the invitation to a customer."""
    await access.write_own(lambda tx, act: accept_membership(tx, act, access.caller.account_id, member_id))
    return see_other("/account?done=membership_accepted")


@router.post("/memberships/{member_id}/leave")
async def leave(access: Person, member_id: UUID) -> Response:
    """Leave a customer, or decline its invitation."""
    await access.write_own(lambda tx, act: leave_membership(tx, act, access.caller.account_id, member_id))
    return see_other("/account?done=membership_left")


@router.post("/time-zone")
async def choose_zone(request: Request, access: Person) -> Response:
    """Choose the zone in which the pages show times and take typed ones."""
    form = await form_of(request)
    chosen = form["time_zone"].strip() or None
    try:
        await access.write_own(lambda tx, act: choose_time_zone(tx, act, access.caller.account_id, chosen))
    except InvalidInputError as error:
        return await account_page(request, access, error=error, status=422)
    return see_other("/account?done=time_zone")


@router.post("/tokens")
async def make_token(request: Request, access: Person) -> Response:
    """Create a token and show it, only this once."""
    form = await form_of(request)
    token = new_token()
    try:
        await access.write_own(lambda tx, act: _issue(tx, act, access, form, token))
    except InvalidInputError as error:
        return await account_page(request, access, error=error, status=422)
    return page(request, "shown_once", access.caller, {"name": "token", "secrets": [token]})


def _issue(tx: AccessTransaction, act: AuditContext, access: Access, form: Form, token: str) -> None:
    account = tx.accounts.require(access.caller.account_id)
    name, days = form["name"].strip(), form["days"].strip()
    if not name or len(name) > _NAME_CHARACTERS or not name.isprintable():
        raise InvalidInputError(Fault("name", f"must be one line of at most {_NAME_CHARACTERS} characters"))
    if not (days.isascii() and days.isdigit() and 1 <= int(days[:4]) <= MAX_TOKEN_DAYS):
        raise InvalidInputError(Fault("days", f"must be within the next {MAX_TOKEN_DAYS} days"))
    expires_at = act.now + timedelta(days=int(days[:4]))
    wanted = form.all("permissions")
    if not set(wanted) <= set(Permission):
        raise InvalidInputError(Fault("permissions", "is no permission"))
    issue_own_token(
        tx,
        act,
        access.caller,
        account,
        name=name,
        permissions=[Permission(each) for each in wanted],
        expires_at=expires_at,
        token=token,
    )


@router.post("/tokens/{token_id}/revoke")
async def revoke(access: Person, token_id: UUID) -> Response:
    """Revoke one of the caller's tokens."""
    await access.write_own(lambda tx, act: revoke_token(tx, act, access.caller.account_id, token_id))
    return see_other("/account?done=token")
