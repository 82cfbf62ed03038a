"""Single-use links: issued in a transaction, redeemed once, invalid once their binding has changed.

Opening a link changes nothing, because mail scanners open links. Only the form on its page (a POST) redeems it.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from notifications.errors import GreffierError
from notifications.use_cases.audit_context import AuditContext
from service.ports.sessions import Link
from service.ports.store import AccessTransaction


class LinkVoidError(GreffierError):
    """The link is unknown, used, expired, or its address has changed. The error does not say which."""

    def __init__(self) -> None:
        super().__init__("this link is not valid any more; ask for a new one")


def new_link_secret() -> str:
    """Return the secret part of a link: 256 random bits."""
    return secrets.token_urlsafe(32)


def issue_link(
    tx: AccessTransaction,
    act: AuditContext,
    *,
    purpose: str,
    subject_id: UUID,
    binding: str,
    seconds: float,
    secret: str,
) -> Link:
    """Store a link; ``secret`` comes from ``new_link_secret``, ``binding`` is the value that must not change until use.

    Earlier links for the same purpose and subject stay valid until they expire or ``drop_links`` deletes them.
    """
    link = Link(
        id=act.identifiers.new_id(),
        purpose=purpose,
        subject_id=subject_id,
        digest=_digest(secret),
        binding=binding,
        created_at=act.now,
        expires_at=act.now + timedelta(seconds=seconds),
    )
    tx.sessions.add_link(link)
    return link


def find_link(tx: AccessTransaction, secret: str, purposes: frozenset[str], now: datetime) -> Link:
    """Return an unused and unexpired link without changing it; raises LinkVoidError.

    NOT checked: the binding. The caller must compare ``binding`` with the current address.
    """
    link = tx.sessions.link(_digest(secret))
    if link is None or link.purpose not in purposes or link.used_at is not None or now >= link.expires_at:
        raise LinkVoidError
    return link


def redeem_link(
    tx: AccessTransaction, act: AuditContext, secret: str, purpose: str, *, binding_now: str | None
) -> Link:
    """Use the link up and return it; raises LinkVoidError, also if ``binding_now`` is not the link's binding."""
    link = find_link(tx, secret, frozenset({purpose}), act.now)
    if link.binding != binding_now or not tx.sessions.use_link(link.id, act.now):
        raise LinkVoidError
    return link


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
