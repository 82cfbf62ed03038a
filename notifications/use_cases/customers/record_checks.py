"""Record the reachability checks of one customer's contacts and webhooks, and return what changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from notifications.customer.records import Contact, recipients
from notifications.delivery.reachability import CheckSubject, ReachabilityCheck
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext

#: The latest check of each subject.
Latest = Mapping[tuple[CheckSubject, UUID], ReachabilityCheck]


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The changes since the last check of one customer."""

    #: checks that failed now, of subjects whose last check did not fail
    newly_failing: tuple[ReachabilityCheck, ...]
    #: subjects whose last check failed and whose check now succeeded
    mended: tuple[UUID, ...]
    #: whether a notice would reach anybody by mail or webhook, as far as is known
    reachable: bool
    #: the same before these checks
    was_reachable: bool


def record_checks(
    tx: Transaction, act: AuditContext, customer_id: UUID, checks: Sequence[ReachabilityCheck], *, sent: bool
) -> CheckOutcome:
    """Store the checks with one audit entry for all of them, and return what changed.

    ``sent`` states that test messages were sent. A subject that was not checked keeps its last result.
    """
    contacts = tx.customers.contacts(customer_id)
    endpoints = tuple(item.id for item in tx.webhooks.endpoints(customer_id) if item.state == "active")
    before = latest_by_subject(tx.customers.latest_reachability_checks(customer_id))
    after = {**before, **{(check.subject, check.subject_id): check for check in checks}}
    if checks:
        tx.customers.add_reachability_checks(checks)
        tx.audit.append([
            act.entry(
                "contacts.checked",
                subjects={"customer": tx.customers.pseudonym(customer_id)},
                detail={
                    "checks": len(checks),
                    "failed": sum(not check.ok for check in checks),
                    "test_messages": sent,
                },
            )
        ])  # fmt: skip
    known = [(check, before.get((check.subject, check.subject_id))) for check in checks]
    return CheckOutcome(
        newly_failing=tuple(check for check, earlier in known if not check.ok and (earlier is None or earlier.ok)),
        mended=tuple(
            check.subject_id for check, earlier in known if check.ok and earlier is not None and not earlier.ok
        ),
        reachable=is_reachable(contacts, endpoints, after),
        was_reachable=is_reachable(contacts, endpoints, before),
    )


def latest_by_subject(checks: Sequence[ReachabilityCheck]) -> dict[tuple[CheckSubject, UUID], ReachabilityCheck]:
    """Return the checks by kind and id of their subject."""
    return {(check.subject, check.subject_id): check for check in checks}


def is_reachable(contacts: Sequence[Contact], endpoint_ids: Sequence[UUID], latest: Latest) -> bool:
    """Return whether a notice would reach the customer: one contact or endpoint without a failed check is enough.

    Certificates are not considered: without a usable one the contact still gets a mail, but only a summary.
    """
    subjects = [(CheckSubject.CONTACT, contact.id) for contact in recipients(contacts)]
    subjects += [(CheckSubject.WEBHOOK, endpoint_id) for endpoint_id in endpoint_ids]
    return any(subject not in latest or latest[subject].ok for subject in subjects)
