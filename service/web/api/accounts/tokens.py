"""API tokens of the caller and of service accounts. A token is shown once; only its digest is stored."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from notifications.use_cases.audit_context import AuditContext
from service.auth.tokens import issue_own_token, issue_service_token, new_token, revoke_token
from service.ports.store import AccessTransaction
from service.ports.tokens import ApiToken
from service.web.api.accounts.account_schemas import (
    NewTokenIn,
    NewTokenOut,
    TokenList,
    TokenOut,
    new_token_out,
    token_out,
)
from service.web.api.requests import (
    Answer,
    IdempotencyKey,
    MayChangeAccounts,
    MayReadAccounts,
    Oneself,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1", tags=["tokens"])


@router.get("/account/tokens", response_model=TokenList, summary="One's own tokens")
async def list_own(access: Oneself) -> Response:
    """Return the caller's tokens, including revoked and expired ones, with their first characters and last use."""
    return json_response(_list(await access.read_own(lambda tx: tx.tokens.of_account(access.caller.account_id))))


@router.post("/account/tokens", status_code=201, response_model=NewTokenOut, summary="Issue a token to oneself")
async def issue_own(
    request: Request, access: Oneself, wanted: NewTokenIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Issue a token with some of the caller's permissions. A token can pass on only permissions of its own."""
    token = new_token()

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        issued = issue_own_token(
            tx,
            act,
            access.caller,
            tx.accounts.require(access.caller.account_id),
            name=wanted.name,
            permissions=wanted.permissions,
            expires_at=wanted.expires_at,
            token=token,
        )
        return _issued(issued, token)

    return await change(request, access, idempotency_key, work)


@router.delete("/account/tokens/{token_id}", response_model=TokenOut, summary="Revoke one's token")
async def revoke_own(request: Request, access: Oneself, token_id: UUID) -> Response:
    """Revoke a token of the caller immediately."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(token_out(revoke_token(tx, act, access.caller.account_id, token_id)))

    return await change(request, access, None, work)


@router.get("/accounts/{account_id}/tokens", response_model=TokenList, summary="Tokens of an account")
async def list_tokens(access: MayReadAccounts, account_id: UUID) -> Response:
    """Return the tokens of an account, with their first characters and last use."""

    def work(tx: AccessTransaction) -> TokenList:
        tx.accounts.require(account_id)
        return _list(tx.tokens.of_account(account_id))

    return json_response(await access.read(work))


@router.post(
    "/accounts/{account_id}/tokens",
    status_code=201,
    response_model=NewTokenOut,
    summary="Issue a token to a service account",
)
async def issue(
    request: Request,
    access: MayChangeAccounts,
    account_id: UUID,
    wanted: NewTokenIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Issue a token of a service account, never of a person. Reading incidents needs a caller who may read them."""
    token = new_token()

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        issued = issue_service_token(
            tx,
            act,
            access.caller,
            tx.accounts.require(account_id),
            name=wanted.name,
            permissions=wanted.permissions,
            expires_at=wanted.expires_at,
            token=token,
        )
        return _issued(issued, token)

    return await change(request, access, idempotency_key, work)


@router.delete("/accounts/{account_id}/tokens/{token_id}", response_model=TokenOut, summary="Revoke a token")
async def revoke(request: Request, access: MayChangeAccounts, account_id: UUID, token_id: UUID) -> Response:
    """Revoke a token of any account immediately, for example a leaked one, without its owner."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        tx.accounts.require(account_id)
        return Answer(token_out(revoke_token(tx, act, account_id, token_id)))

    return await change(request, access, None, work)


def _list(tokens: Sequence[ApiToken]) -> TokenList:
    return TokenList.model_construct(items=[token_out(token) for token in tokens])


def _issued(issued: ApiToken, token: str) -> Answer:
    return Answer(new_token_out(issued, token), 201, kept=new_token_out(issued, None))
