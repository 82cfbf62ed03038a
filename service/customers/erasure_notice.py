"""The formal notice of an erasure, as mails to every contact of the customer: signed, in the contact's language.

It gives the customer the salt of its pseudonym: after the erasure it alone can show which certificate, and which
entries of the log, are about it.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from uuid import UUID

from notifications.customer.erasure import ErasureOrder, ServedBy
from notifications.customer.records import Contact, Customer
from notifications.mail_address import normal_address
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.erase_customer import order_erasure
from notifications.use_cases.customers.manage_customers import existing_customer
from service.ports.alerts_and_mail import ServiceMail
from service.ports.store import AccessTransaction

PURPOSE = "erasure_notice"
_WORDS: dict[str, dict[str, str]] = tomllib.loads(
    (files(__package__) / "erasure_notice.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """What the mails say of the provider."""

    provider_name: str
    #: whom to write to where it is a mistake
    contact_email: str
    #: None while there are no pages to link to
    console_url: str | None


def order_by_mail(
    tx: AccessTransaction, act: AuditContext, customer_id: UUID, settings: NoticeSettings
) -> ErasureOrder:
    """Order an erasure whose formal notice is mailed to every active contact; raises as ``order_erasure``."""
    customer = existing_customer(tx, customer_id)
    addresses: dict[str, Contact] = {}
    for contact in tx.contacts(customer_id):
        if contact.active:
            addresses.setdefault(normal_address(contact.email), contact)
    mails = [_mail(tx, act, customer, contact, settings) for contact in addresses.values()]
    order = order_erasure(
        tx, act, customer_id, served_by=ServedBy.MAIL, mail_ids=[str(mail.id) for mail in mails]
    )  # fmt: skip
    for mail in mails:
        tx.add_service_mail(mail)
    return order


def _mail(
    tx: AccessTransaction, act: AuditContext, customer: Customer, contact: Contact, settings: NoticeSettings
) -> ServiceMail:
    words, pseudonym = _WORDS[contact.language], tx.customer_pseudonym(customer.id)
    where = ""
    if settings.console_url is not None:
        where = words["where"].format(url=f"{settings.console_url.rstrip('/')}/erasures/{pseudonym}")
    text = words["text"].format(
        provider=settings.provider_name,
        customer=customer.name,
        pseudonym=pseudonym,
        customer_id=customer.id,
        salt=tx.customer_salt(customer.id).hex(),
        where=where,
        contact=settings.contact_email,
    )
    return ServiceMail(
        id=act.identifiers.new_id(),
        purpose=PURPOSE,
        recipient=contact.email,
        recipient_name=contact.name,
        language=contact.language,
        subject=words["subject"].format(provider=settings.provider_name),
        text=text,
        created_at=act.now,
    )
