"""Record an incident: validate, classify, decide, draft what is owed — one transaction."""

from dataclasses import dataclass

from notifications.incident import Incident, IncidentFacts, IncidentState, validate_facts
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import Consequences, apply_facts, verify_customers_exist
from notifications.use_cases.incidents.customer_decider import Agreements


@dataclass(frozen=True, slots=True)
class IncidentResult:
    """An incident and what its facts came to."""

    incident: Incident
    consequences: Consequences


def record_incident(tx: Transaction, act: AuditContext, facts: IncidentFacts, agreements: Agreements) -> IncidentResult:
    """Declare an incident (7.6.2).

    Raises InvalidInputError with every fault of the facts; then nothing is stored.

    1. Validate the facts against the reference agreement and the clock, and that the customers named exist.
    2. Give it its ticket number and store it.
    3. Record the act, classify, decide per customer and draft, as for every later change.
    """
    # 1.
    validate_facts(facts, agreements.reference, act.now)
    verify_customers_exist(tx, facts)
    # 2.
    year = act.now.year
    incident = Incident(
        id=act.identifiers.new_id(),
        ticket=f"INC-{year}-{tx.incidents.next_ticket_number(year):06d}",
        state=IncidentState.OPEN,
        version=1,
        facts=facts,
        opened_at=act.now,
        updated_at=act.now,
        opened_by=act.actor,
    )
    tx.incidents.add(incident)
    # 3.
    return IncidentResult(incident, apply_facts(tx, act, "incident.declared", incident, agreements))
