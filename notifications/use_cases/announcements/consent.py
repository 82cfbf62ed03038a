"""The customer's consent to what the agreement allows only with it, such as a third party's access."""

from dataclasses import replace
from uuid import UUID

from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.incident import AnnouncementState
from notifications.ports import AnnouncedCustomer, Consent, Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects

NAME_MAX_CHARACTERS, REASON_MAX_CHARACTERS = 200, 2_000


def answer_consent(
    tx: Transaction, act: AuditContext, notice_id: UUID, *, accepts: bool, name: str, reason: str | None = None
) -> AnnouncedCustomer:
    """Record that a customer accepts or refuses what a notice announces. It may answer again while it is open.

    ``name``: the person that answers for the customer. Raises NotFoundError, InvalidInputError, and StateConflictError
    if the agreement asks for no consent, the announcement is closed, or a later notice replaces this one.
    """
    notice = tx.notices.require(notice_id)
    if not name.strip() or len(name) > NAME_MAX_CHARACTERS:
        raise InvalidInputError(Fault("name", f"must have 1 to {NAME_MAX_CHARACTERS} characters"))
    if reason is not None and len(reason) > REASON_MAX_CHARACTERS:
        raise InvalidInputError(Fault("reason", f"must not be longer than {REASON_MAX_CHARACTERS} characters"))
    record = tx.announcements.customer(notice.incident_id, notice.customer_id) if notice.announces else None
    if record is None or record.consent is None:
        raise StateConflictError("the agreement asks for no consent to this notice")
    if tx.announcements.state(notice.incident_id) is not AnnouncementState.OPEN:
        raise StateConflictError("what this notice announces is over, or was cancelled")
    if record.facts_version != notice.facts_version:
        raise StateConflictError("what is announced has changed: answer to the notice that replaces this one")
    consent = Consent.GIVEN if accepts else Consent.REFUSED
    answered = replace(
        record,
        consent=consent,
        consent_name=name.strip(),
        consent_reason=reason,
        consent_by=act.actor,
        consent_at=act.now,
        version=record.version + 1,
    )
    tx.announcements.save_customer(answered, record.version)
    tx.audit.append([
        act.entry(
            f"consent.{consent.value}",
            subjects=notice_subjects(notice, tx.customers.pseudonym(notice.customer_id)),
            detail={"sequence": notice.sequence, "facts_version": notice.facts_version},
            private={"name": answered.consent_name, "reason": reason},
        )
    ])  # fmt: skip
    return answered
