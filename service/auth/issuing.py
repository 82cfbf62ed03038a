"""Who may issue which token: nobody gets by a token what they may not do themselves."""

from collections.abc import Sequence
from datetime import datetime

from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.caller import Caller
from service.auth.permissions import Permission
from service.auth.tokens import issue_token
from service.ports.accounts import Account, AccountKind
from service.ports.store import AccessTransaction
from service.ports.tokens import ApiToken

#: What lets incident content be read; an administrator who is not also analyst hands none of it to a token it sees.
_CONTENT = frozenset({
    Permission.INCIDENT_READ, Permission.INCIDENT_CHANGE, Permission.NOTICE_READ, Permission.NOTICE_RELEASE,
    Permission.NOTICE_OVERRIDE, Permission.LOG_READ, Permission.TRAIL_READ,
})  # fmt: skip


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
    2. For the same reason the token reads no incident content that the administrator may not read itself, at large.

    Raises StateConflictError for 1. and an inactive account, InvalidInputError for 2. and as ``issue_token``.
    """
    # 1.
    if account.kind is not AccountKind.SERVICE:
        raise StateConflictError("a person issues its own tokens: nobody else can")
    if not account.active:
        raise StateConflictError("the account is not active")
    # 2.
    faults = [
        Fault(f"permissions.{position}", "gives incident content to read, which you may not read yourself")
        for position, permission in enumerate(permissions)
        if permission in _CONTENT and not _has_at_large(caller, permission)
    ]
    if faults:
        raise InvalidInputError(*faults)
    return _issue(tx, act, account, name, permissions, expires_at, token)


def _has_at_large(caller: Caller, permission: Permission) -> bool:
    scope = caller.scope(permission)
    return scope is not None and scope.is_unlimited


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
