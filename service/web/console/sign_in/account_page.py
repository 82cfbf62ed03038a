"""The page of the caller's own account: roles, credentials, sessions, and API tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from starlette.responses import Response

from notifications.errors import GreffierError, InvalidInputError
from notifications.time_zones import time_zone_names
from service.auth.memberships import OwnMembership, own_memberships
from service.auth.permissions import Permission
from service.auth.refusals import ForbiddenError
from service.auth.route_guard import Access, Requires
from service.auth.sign_in.own_credentials import OwnCredentials
from service.auth.sign_in.sign_in import SignIn
from service.ports.accounts import Account, Grant
from service.ports.sessions import Session
from service.ports.store import AccessTransaction
from service.ports.tokens import ApiToken
from service.web.console.catalogues import has_text
from service.web.console.rendering import page

Oneself = Annotated[Access, Depends(Requires(Permission.SELF))]

#: Names of completed changes, as in the address of the page after a form.
_DONE = frozenset({
    "password", "totp", "totp_removed", "passkey", "passkey_named", "passkey_removed", "session", "token",
    "membership_accepted", "membership_left", "time_zone",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role, and the customer for which the account has it."""

    name: str
    customer: str | None


@dataclass(frozen=True, slots=True)
class _Own:
    account: Account
    sessions: Sequence[Session]
    tokens: Sequence[ApiToken]
    roles: Sequence[HeldRole]
    memberships: Sequence[OwnMembership]
    grants: tuple[Grant, ...]


async def signed_in_person(access: Oneself) -> Access:
    """Return the access of a person in a browser. A token is refused: a leaked token must not change credentials."""
    if access.caller.session_id is None:
        raise ForbiddenError(Permission.SELF)
    return access


#: The access of a person in a browser, for the pages of its own account.
Person = Annotated[Access, Depends(signed_in_person)]


def own_credentials(request: Request) -> OwnCredentials:
    """Return the part that changes the caller's credentials."""
    credentials: OwnCredentials = request.app.state.own_credentials
    return credentials


def sign_in_of(request: Request) -> SignIn:
    """Return the part that signs people in."""
    sign_in: SignIn = request.app.state.sign_in
    return sign_in


def _own(tx: AccessTransaction, account_id: UUID) -> _Own:
    """Return the data of the page. It names only customers for which the account has roles."""
    account = tx.accounts.require(account_id)
    roles = []
    grants = tuple(tx.accounts.grants(account_id))
    for grant in grants:
        customer = None if grant.customer_id is None else tx.customers.get(grant.customer_id)
        roles.append(HeldRole(grant.role.value, None if customer is None else customer.name))
    return _Own(
        account=account,
        sessions=sorted(tx.sessions.of_account(account_id), key=lambda each: each.last_seen_at, reverse=True),
        tokens=sorted(tx.tokens.of_account(account_id), key=lambda each: each.created_at, reverse=True),
        roles=roles,
        memberships=own_memberships(tx, account_id),
        grants=grants,
    )


async def account_page(
    request: Request, access: Access, *, done: str = "", error: GreffierError | None = None, status: int = 200
) -> Response:
    """Return the page, with the completed change or the problems."""
    caller = access.caller
    own = await access.read_own(lambda tx: _own(tx, caller.account_id))
    credentials = await own_credentials(request).view(caller)
    now = access.clock.now()
    values: dict[str, Any] = {
        "account": own.account,
        "roles": own.roles,
        "memberships": own.memberships,
        "credentials": credentials,
        "sessions": [session for session in own.sessions if session.expires_at > now],
        "tokens": own.tokens,
        "permissions": [each.value for each in Permission if caller.scope(each) is not None],
        "must_enrol": caller.must_enrol,
        "time_zones": sorted(time_zone_names()),
        "done": done if done in _DONE else "",
        "problems": problems(error),
    }
    return page(request, "account", caller, values, status=status)


def problems(error: GreffierError | None) -> list[str]:
    """Return the keys of the words for each problem, by field."""
    if error is None:
        return []
    if not isinstance(error, InvalidInputError):
        return ["problem.conflict"]
    keys = [f"problem.{fault.field.partition('.')[0]}" for fault in error.faults]
    return list(dict.fromkeys(key if has_text(key, "en") else "problem.other" for key in keys))
