"""Ask a contact to confirm its address by a mailed link, because a mistyped address belongs to a stranger."""

import tomllib
from datetime import timedelta
from importlib.resources import files

from notifications.customer.records import Contact
from notifications.errors import StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.sign_in.links import issue_link
from service.ports.mails import ServiceMail
from service.ports.store import AccessTransaction

PURPOSE = "address"
_DAYS = 14
_WORDS: dict[str, dict[str, str]] = tomllib.loads(
    (files(__package__) / "address_confirmation.toml").read_text(encoding="utf-8")
)


def send_address_link(
    tx: AccessTransaction, act: AuditContext, contact: Contact, *, secret: str, console_url: str, provider_name: str
) -> None:
    """Queue the mail with a new link; earlier links become invalid. ``secret`` comes from ``new_link_secret``.

    Raises StateConflictError if the address is confirmed already, or if the contact is inactive.
    """
    if contact.verified_at is not None:
        raise StateConflictError("the address is confirmed already")
    if not contact.active:
        raise StateConflictError("the contact is not active")
    tx.sessions.drop_links(PURPOSE, contact.id)
    seconds = timedelta(days=_DAYS).total_seconds()
    issue_link(tx, act, purpose=PURPOSE, subject_id=contact.id, binding=contact.email, seconds=seconds, secret=secret)
    words = _WORDS[contact.language]
    link = f"{console_url.rstrip('/')}/confirm-address/{secret}"
    mail = ServiceMail(
        id=act.identifiers.new_id(),
        purpose="address_link",
        recipient=contact.email,
        recipient_name=contact.name,
        language=contact.language,
        subject=words["subject"].format(provider=provider_name),
        text=words["text"].format(provider=provider_name, link=link, days=_DAYS),
        created_at=act.now,
    )
    tx.mails.add(mail)
    tx.audit.append([
        act.entry(
            "contact.confirmation_asked",
            subjects={"customer": tx.customers.pseudonym(contact.customer_id), "contact": str(contact.id)},
            detail={"version": contact.version},
        )
    ])  # fmt: skip
