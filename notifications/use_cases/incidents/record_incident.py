"""Declare an incident: validate, classify, decide and draft notices, in one transaction."""

from dataclasses import dataclass

from notifications.incident import Incident, IncidentFacts, IncidentState, validate_facts
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import Consequences, apply_facts, verify_customers_exist
from notifications.use_cases.incidents.customer_decider import Agreements


@dataclass(frozen=True, slots=True)
class IncidentResult:
    """An incident and the result of applying its facts."""

    incident: Incident
    consequences: Consequences


def record_incident(
    tx: Transaction, act: AuditContext, facts: IncidentFacts, agreements: Agreements, *, exercise: bool = False
) -> IncidentResult:
    """Declare an incident (7.6.2), or an exercise, which stays one.

    Raises InvalidInputError with every fault of the facts; nothing is stored then.

    1. Validate the facts against the reference agreement and the current time. Check that the stated customers exist.
    2. Assign the ticket number, of a series of its own for exercises, and store the incident.
    3. Record the declaration, classify, decide per customer and draft notices, as for every later change.
    """
    # 1.
    validate_facts(facts, agreements.reference, act.now)
    verify_customers_exist(tx, facts)
    # 2.
    year = act.now.year
    number = tx.incidents.next_ticket_number(year, exercise=exercise)
    incident = Incident(
        id=act.identifiers.new_id(),
        ticket=f"{'EX' if exercise else 'INC'}-{year}-{number:06d}",
        state=IncidentState.OPEN,
        version=1,
        facts=facts,
        opened_at=act.now,
        updated_at=act.now,
        opened_by=act.actor,
        exercise=exercise,
    )
    tx.incidents.add(incident)
    # 3.
    return IncidentResult(incident, apply_facts(tx, act, "incident.declared", incident, agreements))
