"""The first account of an installation: its holder is the owner of the data folder, with the token in ``api-token``."""

from datetime import timedelta

import structlog

from notifications.ports import Page
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import ROLE_PERMISSIONS, Permission
from service.auth.tokens import issue_token
from service.ports.accounts import Account, AccountKind, Grant, Role
from service.ports.store import AccessTransaction

_log = structlog.get_logger(__name__)

#: Roles of the first account: everything at the provider, to begin with.
FIRST_ROLES = (Role.ANALYST, Role.APPROVER, Role.ADMINISTRATOR)
#: Long enough to create real accounts, short enough that a forgotten token ends.
FIRST_TOKEN_DAYS = 90


def ensure_first_account(tx: AccessTransaction, act: AuditContext, token: str, language: str) -> Account | None:
    """Create the first account, with this token, if there is no account at all; return it, or None.

    Revoke the token, or make the account inactive, once people have accounts. It is never created again.
    """
    existing, _ = tx.accounts.page(Page(1))
    if existing:
        return None
    account = Account(
        id=act.identifiers.new_id(),
        kind=AccountKind.PERSON,
        name="Holder of the data folder",
        email=None,
        language=language,
        active=True,
        created_at=act.now,
        created_by=act.actor,
    )
    tx.accounts.add(account)
    entries = [act.entry("account.created", subjects={"account": str(account.id)}, detail={"kind": account.kind.value})]
    for role in FIRST_ROLES:
        grant = Grant(act.identifiers.new_id(), account.id, role, None, None, None, act.now, act.actor)
        tx.accounts.add_grant(grant)
        entries.append(
            act.entry(
                "role.granted",
                subjects={"account": str(account.id), "grant": str(grant.id)},
                detail={"role": role.value},
            )
        )
    tx.audit.append(entries)
    held = {Permission.SELF.value} | {item.value for role in FIRST_ROLES for item in ROLE_PERMISSIONS[role]}
    issue_token(
        tx,
        act,
        account,
        name="api-token",
        permissions=sorted(held),
        expires_at=act.now + timedelta(days=FIRST_TOKEN_DAYS),
        token=token,
    )
    return account
