"""The formal notice of an erasure, as mails to every contact of the customer: signed, in the contact's language.

It gives the customer the salt of its pseudonym. After the erasure only the customer can show which certificate, and
which entries of the log, are about it.
"""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from uuid import UUID

from notifications.agreement import Reference
from notifications.customer.erasure import ErasureOrder, ServedBy
from notifications.customer.records import Contact, Customer, binding_in_force
from notifications.mail_address import normal_address
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.erase_customer import ErasureTerms, erasure_terms, order_erasure
from notifications.use_cases.incidents.customer_decider import Agreements
from service.ports.mails import ServiceMail
from service.ports.store import AccessTransaction
from service.settings.provider import ProviderSettings

PURPOSE = "erasure_notice"
_WORDS: dict[str, dict[str, str]] = tomllib.loads(
    (files(__package__) / "erasure_notice.toml").read_text(encoding="utf-8")
)


def order_by_mail(
    tx: AccessTransaction, act: AuditContext, customer_id: UUID, provider: ProviderSettings, agreements: Agreements
) -> ErasureOrder:
    """Order an erasure whose formal notice is mailed to every active contact; raises as ``order_erasure``.

    The notice cites the clauses of the agreement that binds the customer now.
    """
    customer = tx.customers.require(customer_id)
    addresses: dict[str, Contact] = {}
    for contact in tx.customers.contacts(customer_id):
        if contact.active:
            addresses.setdefault(normal_address(contact.email), contact)
    bound = binding_in_force(tx.customers.bindings(customer_id), act.now)
    clauses = agreements.clauses_of(None if bound is None else bound.agreement_id, Reference.ERASURE)
    terms = erasure_terms(tx, agreements, customer_id, act.now)
    mails = [_mail(tx, act, customer, contact, provider, clauses, terms) for contact in addresses.values()]
    order = order_erasure(
        tx, act, customer_id, agreements, served_by=ServedBy.MAIL, mail_ids=[str(mail.id) for mail in mails]
    )
    for mail in mails:
        tx.mails.add(mail)
    return order


def _mail(
    tx: AccessTransaction,
    act: AuditContext,
    customer: Customer,
    contact: Contact,
    provider: ProviderSettings,
    clauses: Sequence[str],
    terms: ErasureTerms,
) -> ServiceMail:
    words, pseudonym = _WORDS[contact.language], tx.customers.pseudonym(customer.id)
    where = ""
    if provider.console_url is not None:
        where = words["where"].format(url=f"{provider.console_url.rstrip('/')}/erasures/{pseudonym}")
    text = words["text"].format(
        provider=provider.name,
        customer=customer.name,
        pseudonym=pseudonym,
        customer_id=customer.id,
        salt=tx.customers.salt(customer.id).hex(),
        where=where,
        clauses=words["clauses"].format(numbers=", ".join(clauses)) if clauses else "",
        contact=provider.contact_email,
        days=terms.notice_days,
        within=terms.within_days,
    )
    return ServiceMail(
        id=act.identifiers.new_id(),
        purpose=PURPOSE,
        recipient=contact.email,
        recipient_name=contact.name,
        language=contact.language,
        subject=words["subject"].format(provider=provider.name),
        text=text,
        created_at=act.now,
    )
