"""Resend the mail of a sealed notice to one contact, because a person asks for it."""

from dataclasses import replace
from uuid import UUID

from notifications.delivery.delivery import ChannelKind, Delivery, DeliveryCause, DeliveryState
from notifications.errors import NotFoundError, StateConflictError
from notifications.notice import NoticeState
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects


def resend_mail(tx: Transaction, act: AuditContext, notice_id: UUID, delivery_id: UUID) -> Delivery:
    """Queue the mail of a delivery again. Its notice and its Message-ID are the same, so nobody releases it again.

    The number of attempts continues, and each attempt is kept. Raises NotFoundError for a delivery of another notice,
    and StateConflictError for one that cannot be sent again.

    1. The notice must be sealed, and the delivery must be a mail.
    2. The contact must still be one of this customer, be active, and take part in exercises if the notice is of one.
       The mail goes to the address that the contact has when it is sent, never to an earlier one. An erased customer
       has neither notice nor contact.
    3. A delivery that is queued already is sent anyway.
    4. Queue it, with its audit entry.
    """
    notice, delivery = tx.notices.require(notice_id), tx.deliveries.get(delivery_id)
    if delivery is None or delivery.notice_id != notice.id:
        raise NotFoundError("delivery", delivery_id)
    # 1.
    if notice.state is not NoticeState.SEALED:
        raise StateConflictError("the notice is not sealed yet")
    if delivery.channel is not ChannelKind.EMAIL or delivery.contact_id is None:
        raise StateConflictError("only a mail to a contact is sent again here")
    # 2.
    contact = tx.customers.contact(delivery.contact_id)
    if contact is None or contact.customer_id != notice.customer_id or not contact.active:
        raise StateConflictError("the contact is no longer active")
    if notice.exercise and not contact.takes_exercises:
        raise StateConflictError("the notice is of an exercise, and the contact takes part in none")
    # 3.
    if delivery.state is DeliveryState.QUEUED:
        raise StateConflictError("the mail is already queued")
    # 4.
    again = replace(delivery, state=DeliveryState.QUEUED, next_attempt_at=act.now, last_error=None)
    tx.deliveries.save(again, delivery.attempts)
    subjects = notice_subjects(notice, tx.customers.pseudonym(notice.customer_id))
    subjects |= {"delivery": str(delivery.id), "contact": str(contact.id)}
    detail: dict[str, str | int | bool | list[str] | None] = {
        "channel": delivery.channel.value,
        "cause": DeliveryCause.REPLAY.value,
        "attempts": delivery.attempts,
    }
    tx.audit.append([act.entry("delivery.requeued", subjects=subjects, detail=detail, exercise=notice.exercise)])
    return again
