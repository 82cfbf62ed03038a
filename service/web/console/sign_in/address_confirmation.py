"""A contact confirms its address with the link that was mailed to it. Nothing else proves that the mailbox is read."""

from datetime import datetime

from notifications.customer.records import Contact
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers import manage_customers as keep_customers
from service.auth.sign_in.links import LinkVoidError, find_link, redeem_link
from service.ports.store import AccessTransaction

PURPOSE = "address"


def contact_of(tx: AccessTransaction, secret: str, now: datetime) -> Contact:
    """Return the contact whose address a link confirms, without a change; raises LinkVoidError."""
    link = find_link(tx, secret, frozenset({PURPOSE}), now)
    contact = tx.customers.contact(link.subject_id)
    if contact is None or contact.email != link.binding:
        raise LinkVoidError
    return contact


def confirm_address(tx: AccessTransaction, act: AuditContext, secret: str) -> Contact:
    """Confirm the address of a contact.

    1. Check that the link is valid and was sent to the present address.
    2. Use the link up.
    3. Record when the address was confirmed. An address that was confirmed before keeps its time.

    Raises LinkVoidError.
    """
    # 1.
    contact = contact_of(tx, secret, act.now)
    # 2.
    redeem_link(tx, act, secret, PURPOSE, binding_now=contact.email)
    # 3.
    return keep_customers.confirm_address(tx, act, contact.id, contact.email)
