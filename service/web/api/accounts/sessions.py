"""The caller's own account: its roles, permissions and sessions."""

from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from notifications.errors import NotFoundError
from notifications.use_cases.audit_context import AuditContext
from service.auth.accounts import choose_time_zone, sign_out
from service.auth.caller import Caller
from service.auth.permissions import Permission, permissions_of
from service.ports.accounts import Account
from service.ports.store import AccessTransaction
from service.web.api.accounts.account_schemas import (
    CustomerPermissions,
    OneselfOut,
    SessionList,
    SignOutOut,
    TimeZoneIn,
    grant_out,
    session_out,
)
from service.web.api.requests import Answer, IdempotencyKey, Oneself, change, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/account", tags=["account"])


@router.get("", response_model=OneselfOut, summary="Who am I")
async def oneself(access: Oneself) -> Response:
    """Return the caller, its roles, and its permissions with the credential of this request."""
    caller = access.caller
    account = await access.read_own(lambda tx: tx.accounts.require(caller.account_id))
    return json_response(_oneself_out(caller, account))


@router.put("/time-zone", response_model=OneselfOut, summary="Choose a time zone")
async def choose_zone(
    request: Request, access: Oneself, chosen: TimeZoneIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Choose the zone in which the pages show times and take typed ones."""
    caller = access.caller

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        account = choose_time_zone(tx, act, caller.account_id, chosen.time_zone)
        return Answer(_oneself_out(caller, account))

    return await change(request, access, idempotency_key, work)


@router.get("/sessions", response_model=SessionList, summary="Where one is signed in")
async def list_sessions(access: Oneself) -> Response:
    """Return the caller's sessions."""
    caller = access.caller
    sessions = await access.read_own(lambda tx: tx.sessions.of_account(caller.account_id))
    return json_response(
        SessionList.model_construct(items=[session_out(session, caller.session_id) for session in sessions])
    )


@router.delete("/sessions/{session_id}", response_model=SignOutOut, summary="Sign out of one browser")
async def end_session(request: Request, access: Oneself, session_id: UUID) -> Response:
    """End one of the caller's sessions."""
    account_id = access.caller.account_id

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        if all(session.id != session_id for session in tx.sessions.of_account(account_id)):
            raise NotFoundError("session", session_id)
        tx.sessions.end(session_id)
        subjects = {"account": str(account_id), "session": str(session_id)}
        tx.audit.append([act.entry("session.ended", subjects=subjects)])
        return Answer(SignOutOut(sessions_ended=1))

    return await change(request, access, None, work)


@router.post("/sign-out-everywhere", response_model=SignOutOut, summary="Sign out everywhere")
async def sign_out_everywhere(request: Request, access: Oneself, idempotency_key: IdempotencyKey = None) -> Response:
    """End every session of the caller, including this one. Tokens stay valid until they are revoked."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(SignOutOut(sessions_ended=sign_out(tx, act, access.caller.account_id)))

    return await change(request, access, idempotency_key, work)


def _oneself_out(caller: Caller, account: Account) -> OneselfOut:
    carried = None if caller.token_permissions is None else set(caller.token_permissions)
    at_large, at_customers = {Permission.SELF.value}, dict[UUID, set[str]]()
    for grant in caller.grants:
        held = {item.value for item in permissions_of(grant.role, at_one_customer=grant.customer_id is not None)}
        where = at_large if grant.customer_id is None else at_customers.setdefault(grant.customer_id, set())
        where |= held

    def shown(held: set[str]) -> list[str]:
        return sorted(held if carried is None else held & carried)

    return OneselfOut.model_construct(
        id=account.id,
        kind=account.kind.value,
        name=account.name,
        email=account.email,
        language=account.language,
        time_zone=account.time_zone,
        credential="session" if caller.session_id is not None else "token",
        grants=[grant_out(grant) for grant in caller.grants],
        permissions=shown(at_large),
        customers=[
            CustomerPermissions.model_construct(customer_id=customer_id, permissions=shown(held))
            for customer_id, held in at_customers.items()
        ],
    )
