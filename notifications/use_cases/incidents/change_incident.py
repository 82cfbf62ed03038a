"""Change an incident: new facts, closing, reopening. Every change classifies and decides again."""

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

    Raises NotFoundError, VersionMismatchError, StateConflictError when it is closed, InvalidInputError.

    1. Read the incident as the caller saw it; refuse a closed one.
    2. Validate as at declaration.
    3. Store the new version.
    4. Record the act, classify and decide again; newly owed customers get a draft, those already told an update or a
       correction.
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
    """Close an incident: every customer told gets a final notice as a draft to release.

    Raises StateConflictError while a customer's verdict is pending: an open question is answered or it stays on the
    board, it never becomes silence by closing (3.2, unknown is not no).
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
            f"{len(pending)} customer(s) wait for a decision; establish first: {', '.join(missing[:10])}"
        )
    closed = replace(
        incident, state=IncidentState.CLOSED, version=incident.version + 1, updated_at=act.now, closed_at=act.now
    )
    tx.incidents.save(closed, incident.version)
    return IncidentResult(closed, apply_facts(tx, act, "incident.closed", closed, agreements))


def reopen_incident(
    tx: Transaction, act: AuditContext, incident_id: UUID, expected_version: int, agreements: Agreements
) -> IncidentResult:
    """Open a closed incident again, so that facts found later reach the customers."""
    incident = incident_as_seen(tx, incident_id, expected_version)
    if incident.state is IncidentState.OPEN:
        raise StateConflictError(f"incident {incident.ticket} is open")
    opened = replace(
        incident, state=IncidentState.OPEN, version=incident.version + 1, updated_at=act.now, closed_at=None
    )
    tx.incidents.save(opened, incident.version)
    return IncidentResult(opened, apply_facts(tx, act, "incident.reopened", opened, agreements))


def incident_as_seen(tx: Transaction, incident_id: UUID, expected_version: int) -> Incident:
    """Return the incident; raises NotFoundError or, when it changed since it was read, VersionMismatchError."""
    incident = tx.incidents.require(incident_id)
    if incident.version != expected_version:
        raise VersionMismatchError("incident", incident_id, expected_version, incident.version)
    return incident
