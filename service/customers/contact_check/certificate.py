"""Check the S/MIME certificate of a contact."""

from datetime import datetime

from notifications.customer.records import Contact
from notifications.delivery.reachability import CheckSubject, ReachabilityCheck
from notifications.mail.enveloped import certificate_fault
from notifications.mail.mail_form import EXPIRY_WARNING_DAYS, days_to_expiry
from notifications.ports import Identifiers


def check_certificate(contact: Contact, now: datetime, identifiers: Identifiers) -> ReachabilityCheck:
    """Return whether mail to the contact can be encrypted; a certificate that ends soon passes, with a reason."""
    fault = certificate_fault(contact.smime_certificate or b"", contact.email, now)
    days = days_to_expiry(contact, now)
    reason = None if fault is None else f"the certificate {fault}"
    if fault is None and days is not None and days < max(EXPIRY_WARNING_DAYS):
        reason = f"the certificate ends in {days} days"
    return ReachabilityCheck(
        id=identifiers.new_id(),
        customer_id=contact.customer_id,
        subject=CheckSubject.CERTIFICATE,
        subject_id=contact.id,
        checked_at=now,
        ok=fault is None,
        code=None,
        reason=reason,
    )
