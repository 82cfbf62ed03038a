"""API tokens: made once, shown once, kept as a digest. Nobody issues what it does not hold, but for ``NOT_HELD``."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.caller import Caller
from service.auth.permissions import Permission, permissions_of
from service.ports.accounts import Account, AccountKind
from service.ports.store import AccessTransaction
from service.ports.tokens import ApiToken

#: Leak scanners find tokens by it.
TOKEN_PREFIX = "grf_"  # noqa: S105 - a prefix, not a token
_HINT_CHARACTERS = 10
MAX_TOKEN_DAYS = 365
#: What an administrator may put into the token of a service account without holding it: a monitoring system declares
#: incidents. Listed in docs/roles.md. What reads, releases or acknowledges is never on this list.
NOT_HELD = frozenset({Permission.INCIDENT_DECLARE})


def new_token() -> str:
    """Return a token of 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes:
    """Return the digest of a token, which is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def issue_token(
    tx: AccessTransaction,
    act: AuditContext,
    account: Account,
    *,
    name: str,
    permissions: Iterable[str],
    expires_at: datetime,
    token: str,
) -> ApiToken:
    """Store a token of an account.

    Raises InvalidInputError for a permission that the account does not have, or an expiry that is past or more than a
    year away: a forgotten token must expire. ``token`` comes from ``new_token``.
    """
    wanted = tuple(dict.fromkeys(permissions))
    held = held_permissions(tx, account.id)
    faults = [
        Fault(f"permissions.{position}", "is no permission of this account")
        for position, permission in enumerate(wanted)
        if permission not in held
    ]
    if not wanted:
        faults.append(Fault("permissions", "name at least one"))
    if not act.now < expires_at <= act.now + timedelta(days=MAX_TOKEN_DAYS):
        faults.append(Fault("expires_at", f"must be within the next {MAX_TOKEN_DAYS} days"))
    if faults:
        raise InvalidInputError(*faults)
    issued = ApiToken(
        id=act.identifiers.new_id(),
        account_id=account.id,
        name=name,
        digest=token_digest(token),
        hint=token[:_HINT_CHARACTERS],
        permissions=wanted,
        created_at=act.now,
        created_by=act.actor,
        expires_at=expires_at,
    )
    tx.tokens.add(issued)
    tx.audit.append([
        act.entry(
            "token.issued",
            subjects={"account": str(account.id), "token": str(issued.id)},
            detail={"permissions": list(wanted)},
            private={"name": name, "expires_at": expires_at},
        )
    ])  # fmt: skip
    return issued


def issue_own_token(
    tx: AccessTransaction,
    act: AuditContext,
    caller: Caller,
    account: Account,
    *,
    name: str,
    permissions: Sequence[Permission],
    expires_at: datetime,
    token: str,
) -> ApiToken:
    """Issue a token of the caller's own account; it carries no more than the caller may do as it calls.

    So a token makes none that carries more than itself, and a session that still lacks its second factor none that
    would do without. Raises InvalidInputError as ``issue_token``, and for a permission that the caller lacks.
    """
    faults = [
        Fault(f"permissions.{position}", "is no permission that you call with")
        for position, permission in enumerate(permissions)
        if caller.scope(permission) is None
    ]
    if faults:
        raise InvalidInputError(*faults)
    return _issue(tx, act, account, name, permissions, expires_at, token)


def issue_service_token(
    tx: AccessTransaction,
    act: AuditContext,
    caller: Caller,
    account: Account,
    *,
    name: str,
    permissions: Sequence[Permission],
    expires_at: datetime,
    token: str,
) -> ApiToken:
    """Issue a token of a service account, by an administrator, who sees it.

    1. People issue their own tokens: an administrator with an analyst's token would be that analyst.
    2. For the same reason the token carries only what the administrator itself holds for all customers, and what is in
       ``NOT_HELD``. Nobody holds ``notice.acknowledge`` for all customers, so no such token acknowledges.

    Raises StateConflictError for 1. and an inactive account, InvalidInputError for 2. and as ``issue_token``.
    """
    # 1.
    if account.kind is not AccountKind.SERVICE:
        raise StateConflictError("a person issues its own tokens: nobody else can")
    if not account.active:
        raise StateConflictError("the account is not active")
    # 2.
    faults = [
        Fault(f"permissions.{position}", "is a permission that you do not hold for all customers yourself")
        for position, permission in enumerate(permissions)
        if permission not in NOT_HELD and not _has_at_large(caller, permission)
    ]
    if faults:
        raise InvalidInputError(*faults)
    return _issue(tx, act, account, name, permissions, expires_at, token)


def _has_at_large(caller: Caller, permission: Permission) -> bool:
    scope = caller.scope(permission)
    # Everybody has ``self``: the token speaks for the service account, not for the administrator.
    return scope is not None and (scope.is_unlimited or permission is Permission.SELF)


def _issue(
    tx: AccessTransaction,
    act: AuditContext,
    account: Account,
    name: str,
    permissions: Sequence[Permission],
    expires_at: datetime,
    token: str,
) -> ApiToken:
    wanted = [permission.value for permission in permissions]
    return issue_token(tx, act, account, name=name, permissions=wanted, expires_at=expires_at, token=token)


def revoke_token(tx: AccessTransaction, act: AuditContext, account_id: UUID, token_id: UUID) -> ApiToken:
    """Revoke a token of an account, once; raises NotFoundError where the account has no such token."""
    token = next((item for item in tx.tokens.of_account(account_id) if item.id == token_id), None)
    if token is None:
        raise NotFoundError("token", token_id)
    if token.revoked_at is not None:
        return token
    tx.tokens.revoke(token_id, act.now)
    tx.audit.append([
        act.entry("token.revoked", subjects={"account": str(account_id), "token": str(token_id)}),
    ])  # fmt: skip
    return replace(token, revoked_at=act.now)


def held_permissions(tx: AccessTransaction, account_id: UUID) -> frozenset[str]:
    """Return the names of all permissions that an account's grants give, in any scope."""
    held = {Permission.SELF.value}
    for grant in tx.accounts.grants(account_id):
        held |= {item.value for item in permissions_of(grant.role, at_one_customer=grant.customer_id is not None)}
    return frozenset(held)
