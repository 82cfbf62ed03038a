"""Record the reachability checks of one customer's contacts and webhooks, and return what changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from notifications.customer.records import Contact, recipients
from notifications.delivery.reachability import (
    CheckSubject,
    ReachabilityCheck,
    SecondChannel,
    SecondChannelKind,
    second_channel,
)
from notifications.delivery.webhook import EndpointState
from notifications.errors import StateConflictError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext

#: The latest check of each subject.
Latest = Mapping[tuple[CheckSubject, UUID], ReachabilityCheck]


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The changes since the last check of one customer."""

    #: checks that failed now, of subjects whose last check did not fail
    newly_failing: tuple[ReachabilityCheck, ...]
    #: checks that succeeded now, of subjects whose last check failed
    mended: tuple[ReachabilityCheck, ...]
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
    endpoints = active_endpoint_ids(tx, customer_id)
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
                    # Only tests of the second channel have it, so that other entries are as they were.
                    **({"second_channel": True} if _tests_second_channel(checks) else {}),
                },
            )
        ])  # fmt: skip
    known = [(check, before.get((check.subject, check.subject_id))) for check in checks]
    return CheckOutcome(
        newly_failing=tuple(check for check, earlier in known if not check.ok and (earlier is None or earlier.ok)),
        mended=tuple(check for check, earlier in known if check.ok and earlier is not None and not earlier.ok),
        reachable=is_reachable(contacts, endpoints, after),
        was_reachable=is_reachable(contacts, endpoints, before),
    )


def _tests_second_channel(checks: Sequence[ReachabilityCheck]) -> bool:
    return any(check.subject is CheckSubject.SECOND_CHANNEL for check in checks)


def record_second_channel_call(tx: Transaction, act: AuditContext, customer_id: UUID, *, reached: bool) -> None:
    """Record the test call of a person to a customer whose second channel is a telephone.

    Raises NotFoundError, or StateConflictError if the second channel is not a telephone: the service tests it itself.
    """
    tx.customers.require(customer_id)
    channel = second_channel_of(tx, customer_id)
    if channel is None or channel.kind is not SecondChannelKind.TELEPHONE:
        raise StateConflictError("the second channel of this customer is not a telephone")
    check = ReachabilityCheck(
        act.identifiers.new_id(),
        customer_id,
        CheckSubject.SECOND_CHANNEL,
        channel.subject_id,
        act.now,
        reached,
        reason=None if reached else "a person called and reached nobody",
    )
    record_checks(tx, act, customer_id, [check], sent=False)


def second_channel_of(tx: Transaction, customer_id: UUID) -> SecondChannel | None:
    """Return the second channel of a customer as it is now; None if mail to one address is the only way."""
    return second_channel(tx.customers.contacts(customer_id), active_endpoint_ids(tx, customer_id))


def active_endpoint_ids(tx: Transaction, customer_id: UUID) -> tuple[UUID, ...]:
    """Return the ids of a customer's active webhook endpoints."""
    return tuple(item.id for item in tx.webhooks.endpoints(customer_id) if item.state is EndpointState.ACTIVE)


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
