"""Accounts and their roles. Administrators change them, auditors read them."""

from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from notifications.use_cases.audit_context import AuditContext
from service.auth.accounts import (
    change_account,
    grant_role,
    open_account,
    reset_second_factor,
    revoke_grant,
    sign_out,
    view_account,
)
from service.auth.sign_in.invitations import invite
from service.auth.sign_in.links import new_link_secret
from service.ports.store import AccessTransaction
from service.web.api.accounts.account_schemas import (
    AccountIn,
    AccountOut,
    AccountPage,
    GrantIn,
    GrantOut,
    InvitationOut,
    NewAccountIn,
    SessionList,
    SignOutOut,
    account_out,
    grant_out,
    session_out,
)
from service.web.api.requests import (
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    MayChangeAccounts,
    MayReadAccounts,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/accounts", tags=["accounts"])


@router.post("", status_code=201, response_model=AccountOut, summary="Make an account")
async def make(
    request: Request, access: MayChangeAccounts, account: NewAccountIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create an account of a person or of a service. The account has no permission until a role is granted."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        made = open_account(tx, act, account.to_domain())
        headers = {"ETag": etag(made.version), "Location": f"/api/v1/accounts/{made.id}"}
        return Answer(account_out(view_account(tx, made)), 201, headers)

    return await change(request, access, idempotency_key, work)


@router.get("", response_model=AccountPage, summary="List accounts")
async def list_accounts(access: MayReadAccounts, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Return accounts with their roles, oldest first."""

    def work(tx: AccessTransaction) -> AccountPage:
        accounts, following = tx.accounts.page(access.page(limit, cursor))
        items = [account_out(view_account(tx, item)) for item in accounts]
        return AccountPage.model_construct(items=items, next_cursor=access.next_cursor(following))

    return json_response(await access.read(work))


@router.get("/{account_id}", response_model=AccountOut, summary="Read an account")
async def read(access: MayReadAccounts, account_id: UUID) -> Response:
    """Return one account with its roles."""
    view = await access.read(lambda tx: view_account(tx, tx.accounts.require(account_id)))
    return json_response(account_out(view), {"ETag": etag(view.account.version)})


@router.put("/{account_id}", response_model=AccountOut, summary="Change an account")
async def put(
    request: Request,
    access: MayChangeAccounts,
    account_id: UUID,
    account: AccountIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Change name and language, or make the account inactive: its sessions end and its tokens are refused."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.accounts.require(account_id).version)
        changed, _ = change_account(
            tx, act, account_id, version, name=account.name, language=account.language, active=account.active
        )
        return Answer(account_out(view_account(tx, changed)), headers={"ETag": etag(changed.version)})

    return await change(request, access, idempotency_key, work)


@router.post("/{account_id}/grants", status_code=201, response_model=GrantOut, summary="Grant a role")
async def grant(
    request: Request,
    access: MayChangeAccounts,
    account_id: UUID,
    role: GrantIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Grant a role, at a customer or at the provider. Nobody may grant a role to their own account.

    A person is only invited to act for a customer. The person has the role after accepting the invitation.
    """

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(grant_out(grant_role(tx, act, account_id, role.to_domain())), 201)

    return await change(request, access, idempotency_key, work)


@router.delete("/{account_id}/grants/{grant_id}", response_model=GrantOut, summary="Revoke a role")
async def revoke(request: Request, access: MayChangeAccounts, account_id: UUID, grant_id: UUID) -> Response:
    """Revoke a role immediately; returns the revoked role. Nobody may revoke a role of their own account."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(grant_out(revoke_grant(tx, act, account_id, grant_id)))

    return await change(request, access, None, work)


@router.post("/{account_id}/invitation", status_code=201, response_model=InvitationOut, summary="Invite a person")
async def send_invitation(
    request: Request,
    context: Context,
    access: MayChangeAccounts,
    account_id: UUID,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Issue a single-use link with which a person sets the password. Earlier links become invalid."""
    secret = new_link_secret()

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        made = invite(
            tx,
            act,
            tx.accounts.require(account_id),
            secret=secret,
            console_url=context.settings.provider.console_url,
            provider_name=context.settings.provider.name,
        )
        invitation = InvitationOut(
            account_id=account_id, expires_at=made.expires_at, mailed=made.mailed, link=made.shown
        )
        return Answer(invitation, 201, kept=invitation.model_copy(update={"link": None}))

    return await change(request, access, idempotency_key, work)


@router.get("/{account_id}/sessions", response_model=SessionList, summary="Where an account is signed in")
async def list_sessions(access: MayReadAccounts, account_id: UUID) -> Response:
    """Return the sessions of an account."""

    def work(tx: AccessTransaction) -> SessionList:
        tx.accounts.require(account_id)
        current = access.caller.session_id
        return SessionList.model_construct(
            items=[session_out(session, current) for session in tx.sessions.of_account(account_id)]
        )

    return json_response(await access.read(work))


@router.post("/{account_id}/sign-out", response_model=SignOutOut, summary="Sign an account out everywhere")
async def end_sessions(
    request: Request, access: MayChangeAccounts, account_id: UUID, idempotency_key: IdempotencyKey = None
) -> Response:
    """End every session of the account. Its tokens stay valid."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(SignOutOut(sessions_ended=sign_out(tx, act, account_id)))

    return await change(request, access, idempotency_key, work)


@router.post("/{account_id}/reset-second-factor", response_model=SignOutOut, summary="Forget a person's second factors")
async def forget_second_factor(
    request: Request, access: MayChangeAccounts, account_id: UUID, idempotency_key: IdempotencyKey = None
) -> Response:
    """Remove authenticator app, passkeys and recovery codes, and end the sessions. The password stays."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(SignOutOut(sessions_ended=reset_second_factor(tx, act, account_id)))

    return await change(request, access, idempotency_key, work)
