"""People who are signed in already, created through the store, and the requests of their browsers.

Use it in tests of pages. Tests of sign-in itself use ``sign_in_house``.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx2

from notifications.use_cases.audit_context import AuditContext
from service.auth.authentication import SESSION_COOKIE, csrf_token, session_digest
from service.ports.accounts import Account, AccountKind, Grant
from service.ports.sessions import Session

#: What a browser says when a person opens a page.
HTML = {"Accept": "text/html,application/xhtml+xml"}


@dataclass(frozen=True)
class Person:
    """An account, with the secret of one of its sessions."""

    account: Account
    session_id: UUID
    secret: str

    @property
    def headers(self):
        """The headers of the browser in every request."""
        return HTML | {"Cookie": f"{SESSION_COOKIE}={self.secret}"}

    def form(self, **fields):
        """Return the fields that a form on a page of the service holds for this person."""
        return {"csrf_token": csrf_token(self.secret)} | fields


def act_of(running):
    """Return the audit context of an operator."""
    context = running.parts.context
    return AuditContext("operator:test", context.clock.now(), context.identifiers)


async def person(running, name, *grants, language="en", email=None, method="password+totp"):
    """Create a person with (role, customer id or None) grants and a session."""
    act, secret = act_of(running), secrets.token_urlsafe(32)
    session_id = act.identifiers.new_id()

    def work(tx):
        made = Account(
            act.identifiers.new_id(),
            AccountKind.PERSON,
            name,
            email or f"{name.lower()}@people.example",
            language,
            active=True,
            created_at=act.now,
            created_by=act.actor,
        )
        tx.accounts.add(made)
        for role, customer_id in grants:
            at = None if customer_id is None else UUID(customer_id)
            tx.accounts.add_grant(Grant(act.identifiers.new_id(), made.id, role, at, None, None, act.now, act.actor))
        ends_at = act.now + timedelta(hours=12)
        tx.sessions.add(
            Session(session_id, made.id, session_digest(secret), method, "Browser", act.now, act.now, ends_at)
        )
        return made

    return Person(await running.parts.store.write(work), session_id, secret)


def browser(running, whom=None):
    """Return a client with the headers of a browser; it follows no redirects."""
    headers = HTML if whom is None else whom.headers
    return httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=120, follow_redirects=False)


def visible_text(html):
    """Return the visible text of a page, without tags and repeated spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
