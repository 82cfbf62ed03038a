"""Record what a check of one customer's contacts and webhooks found, and what changed by it."""

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
    """What changed by a check of one customer."""

    #: checks that fail now, of subjects that did not before
    newly_failing: tuple[ReachabilityCheck, ...]
    #: subjects that failed before and do not now
    mended: tuple[UUID, ...]
    #: whether anybody would get a notice by mail or webhook, as far as is known
    reachable: bool
    #: whether that was so before, as far as was known
    was_reachable: bool


def record_checks(
    tx: Transaction, act: AuditContext, customer_id: UUID, checks: Sequence[ReachabilityCheck], *, sent: bool
) -> CheckOutcome:
    """Store the checks with one audit entry for all of them; returns what changed.

    ``sent`` says that test messages went out. A subject that was not checked keeps what was known of it.
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
    """Return checks by what they are of."""
    return {(check.subject, check.subject_id): check for check in checks}


def is_reachable(contacts: Sequence[Contact], endpoint_ids: Sequence[UUID], latest: Latest) -> bool:
    """Whether a notice would reach the customer by mail or webhook: somebody that nothing is known against is enough.

    A certificate that does not serve keeps a mail short, and nobody from getting it.
    """
    subjects = [(CheckSubject.CONTACT, contact.id) for contact in recipients(contacts)]
    subjects += [(CheckSubject.WEBHOOK, endpoint_id) for endpoint_id in endpoint_ids]
    return any(subject not in latest or latest[subject].ok for subject in subjects)
