"""Change the facts of an incident, close it, or reopen it. Every change classifies and decides again."""

from dataclasses import replace
from uuid import UUID

from notifications.decision import Verdict
from notifications.errors import StateConflictError, VersionMismatchError
from notifications.incident import Incident, IncidentFacts, IncidentState, validate_facts
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import apply_facts, verify_customers_exist
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.incidents.record_incident import IncidentResult


def change_facts(
    tx: Transaction,
    act: AuditContext,
    incident_id: UUID,
    expected_version: int,
    facts: IncidentFacts,
    agreements: Agreements,
) -> IncidentResult:
    """Replace the facts of an open incident.

    Raises NotFoundError, VersionMismatchError, InvalidInputError, and StateConflictError for a closed incident.

    1. Read the incident in the version that the caller saw, and refuse a closed one.
    2. Validate the facts as for a new incident.
    3. Store the new version.
    4. Record the change, classify and decide again. Customers that must now be notified get a draft. Customers that
       were already notified get the draft of an update or a correction.
    """
    # 1.
    incident = incident_as_seen(tx, incident_id, expected_version)
    if incident.state is IncidentState.CLOSED:
        raise StateConflictError(f"incident {incident.ticket} is closed; reopen it to change its facts")
    # 2.
    validate_facts(facts, agreements.reference, act.now)
    verify_customers_exist(tx, facts)
    # 3.
    changed = replace(incident, facts=facts, version=incident.version + 1, updated_at=act.now)
    tx.incidents.save(changed, incident.version)
    # 4.
    return IncidentResult(changed, apply_facts(tx, act, "incident.facts_changed", changed, agreements))


def close_incident(
    tx: Transaction, act: AuditContext, incident_id: UUID, expected_version: int, agreements: Agreements
) -> IncidentResult:
    """Close an incident. Every customer that was notified gets the draft of a final notice.

    Raises NotFoundError, VersionMismatchError, and StateConflictError for a closed incident. Raises StateConflictError
    also while the verdict for a customer is pending: unknown does not mean no, so an open question must be
    answered before the incident is closed.
    """
    incident = incident_as_seen(tx, incident_id, expected_version)
    if incident.state is IncidentState.CLOSED:
        raise StateConflictError(f"incident {incident.ticket} is closed already")
    pending = [
        stored.decision
        for stored in tx.incidents.current_decisions(incident.id).values()
        if stored.decision.verdict is Verdict.PENDING
    ]
    if pending:
        missing = sorted({fact for decision in pending for fact in decision.missing})
        raise StateConflictError(
            f"the verdict for {len(pending)} customer(s) is pending; first establish: {', '.join(missing[:10])}"
        )
    closed = replace(
        incident, state=IncidentState.CLOSED, version=incident.version + 1, updated_at=act.now, closed_at=act.now
    )
    tx.incidents.save(closed, incident.version)
    return IncidentResult(closed, apply_facts(tx, act, "incident.closed", closed, agreements))


def reopen_incident(
    tx: Transaction, act: AuditContext, incident_id: UUID, expected_version: int, agreements: Agreements
) -> IncidentResult:
    """Reopen a closed incident, so that customers are notified of facts found later."""
    incident = incident_as_seen(tx, incident_id, expected_version)
    if incident.state is IncidentState.OPEN:
        raise StateConflictError(f"incident {incident.ticket} is open")
    opened = replace(
        incident, state=IncidentState.OPEN, version=incident.version + 1, updated_at=act.now, closed_at=None
    )
    tx.incidents.save(opened, incident.version)
    return IncidentResult(opened, apply_facts(tx, act, "incident.reopened", opened, agreements))


def incident_as_seen(tx: Transaction, incident_id: UUID, expected_version: int) -> Incident:
    """Return the incident; raises NotFoundError, or VersionMismatchError if it changed since the caller read it."""
    incident = tx.incidents.require(incident_id)
    if incident.version != expected_version:
        raise VersionMismatchError("incident", incident_id, expected_version, incident.version)
    return incident
