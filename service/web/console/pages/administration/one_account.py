"""One account as administrators keep it: who it is, its roles, how it signs in, its tokens and sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from notifications.errors import InvalidInputError, StateConflictError
from notifications.incident import LANGUAGES
from service.auth.accounts import AccountView, view_account
from service.auth.permissions import Permission, permissions_of
from service.auth.route_guard import Access
from service.auth.tokens import NOT_HELD
from service.ports.accounts import AccountKind, Grant, Membership, Role
from service.ports.sessions import Session
from service.ports.store import AccessTransaction
from service.ports.tokens import ApiToken
from service.web.console.forms import new_form_id
from service.web.console.pages.administration.refusals import Refusal, refused_keys
from service.web.console.rendering import page

_CONFLICT, _OUTDATED, _UNPROCESSABLE = 409, 412, 422
#: What the page may say of what was done just before.
_DONE = frozenset({"made", "changed", "granted", "revoked", "signed_out", "factor_forgotten", "token_revoked"})


@dataclass(frozen=True, slots=True)
class ShownRole:
    """A role that an account holds, or is offered."""

    membership: Membership
    #: None for a role at the provider
    customer: str | None
    is_accepted: bool

    @property
    def period(self) -> tuple[Any, Any]:
        """Start and end of an auditor's period; None where there is none."""
        held = self.membership
        return (held.starts_at, held.ends_at) if isinstance(held, Grant) else (None, None)


@dataclass(frozen=True, slots=True)
class _Account:
    view: AccountView
    roles: Sequence[ShownRole]
    tokens: Sequence[ApiToken]
    sessions: Sequence[Session]


async def account_page(
    request: Request,
    access: Access,
    account_id: UUID,
    *,
    done: str = "",
    error: Refusal | None = None,
    entered: Mapping[str, str] | None = None,
    chosen: Sequence[str] = (),
) -> Response:
    """Return the page of an account, also after a refused form: ``entered`` and ``chosen`` are what it held."""
    found = await access.read(lambda tx: _found(tx, account_id))
    account = found.view.account
    form = dict.fromkeys(("role", "customer", "starts_on", "ends_on", "token_name", "token_days"), "")
    values: dict[str, Any] = {
        "view": found.view,
        "account": account,
        "roles": found.roles,
        "tokens": found.tokens,
        "sessions": found.sessions,
        "is_person": account.kind is AccountKind.PERSON,
        "is_own": access.caller.account_id == account_id,
        "may_change": access.may(Permission.ACCOUNT_CHANGE),
        "offered_roles": _offered_roles(account.kind),
        "offered_permissions": _offered_permissions(access, found),
        "languages": list(LANGUAGES),
        "done": done if done in _DONE else "",
        "refused": [] if error is None else refused_keys(error),
        "entered": form | {"name": account.name, "language": account.language} | dict(entered or {}),
        "chosen": chosen,
        "form_id": (entered or {}).get("form_id") or new_form_id(),
        "now": access.clock.now(),
    }
    return page(request, "account_kept", access.caller, values, status=_status(error))


def _status(error: Refusal | None) -> int:
    if error is None:
        return 200
    if isinstance(error, InvalidInputError):
        return _UNPROCESSABLE
    return _CONFLICT if isinstance(error, StateConflictError) else _OUTDATED


def _found(tx: AccessTransaction, account_id: UUID) -> _Account:
    view = view_account(tx, tx.accounts.require(account_id))
    roles = [
        *(ShownRole(grant, _name(tx, grant.customer_id), is_accepted=True) for grant in view.grants),
        *(ShownRole(offer, _name(tx, offer.customer_id), is_accepted=False) for offer in view.offers),
    ]
    return _Account(view, roles, tx.tokens.of_account(account_id), tx.sessions.of_account(account_id))


def _name(tx: AccessTransaction, customer_id: UUID | None) -> str | None:
    customer = None if customer_id is None else tx.customers.get(customer_id)
    return None if customer is None else customer.name


def _offered_roles(kind: AccountKind) -> Sequence[Role]:
    if kind is AccountKind.SERVICE:
        return [Role.SERVICE_ACCOUNT, Role.AUDITOR, Role.CUSTOMER_MEMBER]
    return [role for role in Role if role is not Role.SERVICE_ACCOUNT]


def _offered_permissions(access: Access, found: _Account) -> Sequence[Permission]:
    """Return what a token of a service account may carry: what it holds, as far as the caller may give it away."""
    held = {Permission.SELF}
    for grant in found.view.grants:
        held |= permissions_of(grant.role, at_one_customer=grant.customer_id is not None)

    def may_give(permission: Permission) -> bool:
        scope = access.caller.scope(permission)
        return permission in NOT_HELD | {Permission.SELF} or (scope is not None and scope.is_unlimited)

    return [permission for permission in Permission if permission in held and may_give(permission)]
