"""Record that a customer opened or acknowledged a notice. Each is recorded once per notice and person."""

from uuid import UUID

from notifications.delivery.acknowledgement import AcknowledgedVia, Acknowledgement, NoticeOpening
from notifications.errors import Fault, InvalidInputError, NotFoundError
from notifications.evidence.evidence import EVENT_OF_ACT
from notifications.notice import Notice, NoticeState
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects

NOTE_MAX_CHARACTERS = 2000


def contact_actor(contact_id: UUID) -> str:
    """Return the audit actor for a person who uses a contact's means, such as the link mailed to it."""
    return f"contact:{contact_id}"


def acknowledge_notice(
    tx: Transaction,
    act: AuditContext,
    notice_id: UUID,
    *,
    via: AcknowledgedVia,
    contact_id: UUID | None = None,
    note: str | None = None,
) -> Acknowledgement:
    """Record that a person at the customer confirms that they have a notice, and return the acknowledgement.

    ``act.actor`` is the person: an account, or ``contact_actor`` if a link or a call was used for a contact.

    1. Check that the notice is sealed, because only a served notice can be acknowledged. Check that the contact belongs
       to the customer of the notice.
    2. If the person acknowledged before, return that acknowledgement and record nothing.
    3. Record the acknowledgement and its audit entry, which claims the event ContentHandover.
    4. Bring the next check of the escalation forward to now. The check ends the escalation and cancels an open call.

    Raises NotFoundError, and InvalidInputError for a note that is too long. NOT checked: whether the actor may act for
    the customer.
    """
    # 1.
    notice = _sealed_notice(tx, notice_id)
    if contact_id is not None:
        contact = tx.customers.contact(contact_id)
        if contact is None or contact.customer_id != notice.customer_id:
            raise NotFoundError("contact", contact_id)
    note = (note or "").strip() or None
    if note is not None and len(note) > NOTE_MAX_CHARACTERS:
        raise InvalidInputError(Fault("note", f"has more than {NOTE_MAX_CHARACTERS} characters"))
    # 2.
    given = acknowledgement_by(tx, notice_id, act.actor)
    if given is not None:
        return given
    # 3.
    acknowledgement = Acknowledgement(
        id=act.identifiers.new_id(),
        notice_id=notice_id,
        customer_id=notice.customer_id,
        contact_id=contact_id,
        by=act.actor,
        via=via,
        acknowledged_at=act.now,
        note=note,
    )
    tx.notices.add_acknowledgement(acknowledgement)
    subjects = notice_subjects(notice, tx.customers.pseudonym(notice.customer_id))
    if contact_id is not None:
        subjects |= {"contact": str(contact_id)}
    tx.audit.append([
        act.entry(
            "notice.acknowledged",
            subjects=subjects,
            detail={"event": EVENT_OF_ACT["notice.acknowledged"].value, "via": via.value, "noted": note is not None},
            private={"note": note},
            exercise=notice.exercise,
        )
    ])  # fmt: skip
    # 4.
    tx.escalations.hasten(notice_id, act.now)
    return acknowledgement


def open_notice(tx: Transaction, act: AuditContext, notice_id: UUID) -> bool:
    """Record the first time that a person at the customer opens a notice. Returns False if they opened it before.

    1. Check that the notice is sealed, because it cannot be read before.
    2. Record the opening and its audit entry, which claims the event ContentAccessTracking. This is no acknowledgement.

    Raises NotFoundError. NOT checked: that the actor belongs to the customer, and that the request is no prefetch.
    """
    # 1.
    notice = _sealed_notice(tx, notice_id)
    # 2.
    if not tx.notices.add_opening(NoticeOpening(notice_id, notice.customer_id, act.actor, act.now)):
        return False
    tx.audit.append([
        act.entry(
            "notice.opened",
            subjects=notice_subjects(notice, tx.customers.pseudonym(notice.customer_id)),
            detail={"event": EVENT_OF_ACT["notice.opened"].value},
            exercise=notice.exercise,
        )
    ])  # fmt: skip
    return True


def acknowledgement_by(tx: Transaction, notice_id: UUID, actor: str) -> Acknowledgement | None:
    """Return the acknowledgement of a notice by an actor, or None."""
    return next((given for given in tx.notices.acknowledgements(notice_id) if given.by == actor), None)


def _sealed_notice(tx: Transaction, notice_id: UUID) -> Notice:
    notice = tx.notices.get(notice_id)
    if notice is None or notice.state is not NoticeState.SEALED:
        raise NotFoundError("notice", notice_id)
    return notice
