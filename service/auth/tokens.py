"""API tokens: made once, shown once, kept as a digest."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from notifications.errors import Fault, InvalidInputError, NotFoundError
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission, permissions_of
from service.ports.accounts import Account
from service.ports.store import AccessTransaction
from service.ports.tokens import ApiToken

#: Leak scanners find tokens by it.
TOKEN_PREFIX = "grf_"  # noqa: S105 - a prefix, not a token
_HINT_CHARACTERS = 10
MAX_TOKEN_DAYS = 365


def new_token() -> str:
    """Return a token of 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes:
    """Return what is stored of a token."""
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

    Raises InvalidInputError for a permission that the account does not hold, or an expiry that is past or further away
    than a year: a token that is forgotten must end by itself. ``token`` comes from ``new_token``.
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
    """Return the names of all permissions that an account's grants give it anywhere."""
    held = {Permission.SELF.value}
    for grant in tx.accounts.grants(account_id):
        held |= {item.value for item in permissions_of(grant.role, at_one_customer=grant.customer_id is not None)}
    return frozenset(held)
