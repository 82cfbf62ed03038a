"""Sessions: each starts with a new secret, and is replaced when a credential changes."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from notifications.use_cases.audit_context import AuditContext
from service.auth.authentication import session_digest
from service.auth.caller import must_enrol
from service.ports.accounts import Account
from service.ports.sessions import Session
from service.ports.store import AccessTransaction

#: Binds a pending sign-in to one browser; deleted when the browser closes.
PENDING_COOKIE = "__Host-greffier-pending"
#: Marks a browser from which somebody signed in before; outlives sessions.
DEVICE_COOKIE = "__Host-greffier-device"
_USER_AGENT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Browser:
    """The origin of a request, as the request states it. It is not trusted; ``device`` is verified by its MAC."""

    #: network address from ``authentication.client_address``
    address: str
    user_agent: str = ""
    #: value of ``DEVICE_COOKIE``; None without one
    device: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A successful sign-in: the values for the person's browser."""

    account: Account
    session_id: UUID
    #: value of ``SESSION_COOKIE``; new at each sign-in and each change of a credential, never a value from a request
    session_secret: str = field(repr=False)
    #: absolute end of the session
    expires_at: datetime
    #: value of ``DEVICE_COOKIE``
    device: str = field(repr=False)
    method: str
    #: whether the person has a role at the provider but no second factor; only the enrolment page is then allowed
    must_enrol: bool


def new_session_secret() -> str:
    """Return a session cookie of 256 random bits."""
    return secrets.token_urlsafe(32)


def begin_session(
    tx: AccessTransaction,
    act: AuditContext,
    account: Account,
    method: str,
    browser: Browser,
    *,
    secret: str,
    device: str,
    absolute_seconds: float,
    second_factor_required: bool,
) -> SignedIn:
    """Start a session in the caller's transaction; also delete expired access records of all accounts.

    ``secret`` comes from ``new_session_secret``. A cookie value from a request is never used.
    """
    session = Session(
        id=act.identifiers.new_id(),
        account_id=account.id,
        digest=session_digest(secret),
        method=method,
        user_agent=_printable(browser.user_agent)[:_USER_AGENT_CHARACTERS],
        created_at=act.now,
        last_seen_at=act.now,
        expires_at=act.now + timedelta(seconds=absolute_seconds),
    )
    tx.sessions.purge(act.now)
    tx.sessions.add(session)
    tx.audit.append([
        AuditContext(f"account:{account.id}", act.now, act.identifiers).entry(
            "session.started",
            subjects={"account": str(account.id), "session": str(session.id)},
            detail={"method": method},
        )
    ])  # fmt: skip
    grants = tuple(tx.accounts.grants(account.id))
    return SignedIn(
        account=account,
        session_id=session.id,
        session_secret=secret,
        expires_at=session.expires_at,
        device=device,
        method=method,
        must_enrol=second_factor_required and must_enrol(method, grants),
    )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
