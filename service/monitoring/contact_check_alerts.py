"""Alerts of the contact checks: raise them for new faults, and close them once the fault is repaired."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from notifications.customer.records import Customer
from notifications.delivery.reachability import ReachabilityCheck
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.record_checks import record_checks
from service.monitoring.alerts import settle_alerts
from service.monitoring.notice_findings import AlertCandidate
from service.ports.alerts import Alert
from service.ports.store import AccessTransaction

#: Alerts that are read to find those of one customer.
_MAX_UNSEEN = 10_000


def record_contact_checks(
    tx: AccessTransaction, act: AuditContext, customer: Customer, checks: Sequence[ReachabilityCheck], *, sent: bool
) -> list[AlertCandidate]:
    """Record the checks of one customer, close the alerts of repaired faults, and return the findings to alert."""
    outcome = record_checks(tx, act, customer.id, checks, sent=sent)
    _settle_repaired(tx, act, customer.id, outcome.mended, reachable=outcome.reachable)
    at = f"{act.now:%Y-%m-%dT%H:%M:%S.%f}"
    found = [
        AlertCandidate(
            key=f"contact_check_failed:{check.subject_id.hex}:{check.subject.value}:{at}",
            kind="contact_check_failed",
            ticket=customer.name,
            customer_id=customer.id,
            mailed=False,
        )
        for check in outcome.newly_failing
    ]
    if checks and outcome.was_reachable and not outcome.reachable:
        found.append(
            AlertCandidate(
                key=f"customer_check_failed:{customer.id.hex}:{at}",
                kind="customer_check_failed",
                ticket=customer.name,
                customer_id=customer.id,
            )
        )
    return found


def certificate_end_finding(customer: Customer, endpoint_id: UUID, end: datetime, stage_days: int) -> AlertCandidate:
    """Return the finding that the certificate of a webhook's receiver ends in less than ``stage_days`` days."""
    key = f"webhook_certificate_expiring:{endpoint_id.hex}:{end:%Y-%m-%d}:{stage_days}"
    return AlertCandidate(key, "webhook_certificate_expiring", customer.name, customer_id=customer.id, due_at=end)


def new_certificate_ends(
    tx: AccessTransaction, act: AuditContext, checked: Sequence[UUID], ending: Sequence[AlertCandidate]
) -> list[AlertCandidate]:
    """Close the alerts about certificates that were renewed; return the findings without an alert.

    ``checked`` are the endpoints that the findings ``ending`` are about, also those without a finding.
    """
    about = tuple(f"webhook_certificate_expiring:{endpoint_id.hex}:" for endpoint_id in checked)
    current = {finding.key for finding in ending}
    settle_alerts(tx, act, [alert for alert in _unseen(tx, about) if alert.key not in current])
    return [finding for finding in ending if tx.alerts.by_key(finding.key) is None]


def _settle_repaired(
    tx: AccessTransaction,
    act: AuditContext,
    customer_id: UUID,
    mended: Sequence[ReachabilityCheck],
    *,
    reachable: bool,
) -> None:
    over = [f"contact_check_failed:{check.subject_id.hex}:{check.subject.value}:" for check in mended]
    over += [f"customer_check_failed:{customer_id.hex}:"] if reachable and mended else []
    if over:
        settle_alerts(tx, act, _unseen(tx, tuple(over)))


def _unseen(tx: AccessTransaction, prefixes: tuple[str, ...]) -> list[Alert]:
    return [alert for alert in tx.alerts.unseen(_MAX_UNSEEN) if alert.key.startswith(prefixes)]
