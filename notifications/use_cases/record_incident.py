"""Record an incident: validate, classify, decide, draft what is owed — one transaction."""

from dataclasses import dataclass

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.incident import Incident, IncidentFacts, IncidentState, validate_facts
from notifications.ports import Transaction
from notifications.use_cases.act import Act
from notifications.use_cases.customer_decider import Agreements
from notifications.use_cases.deciding import Consequences, apply_facts, verify_customers_exist


@dataclass(frozen=True, slots=True)
class IncidentResult:
    """An incident and what its facts came to."""

    incident: Incident
    consequences: Consequences


def record_incident(tx: Transaction, act: Act, facts: IncidentFacts, agreements: Agreements) -> IncidentResult:
    """Declare an incident (7.6.2).

    Raises InvalidInputError with every fault of the facts; then nothing is stored.

    1. Validate the facts against the reference agreement and the clock, and that the customers named exist.
    2. Give it its ticket number and store it.
    3. Record the act in the audit log.
    4. Classify, decide per customer and draft, as for every later change.
    """
    # 1.
    validate_facts(facts, agreements.reference, act.now)
    verify_customers_exist(tx, facts)
    # 2.
    year = act.now.year
    incident = Incident(
        id=act.identifiers.new_id(),
        ticket=f"INC-{year}-{tx.next_ticket_number(year):06d}",
        state=IncidentState.OPEN,
        version=1,
        facts=facts,
        opened_at=act.now,
        updated_at=act.now,
        opened_by=act.actor,
    )
    tx.add_incident(incident)
    # 3.
    tx.append_audit([facts_entry(act, "incident.declared", incident, agreements)])
    # 4.
    return IncidentResult(incident, apply_facts(tx, act, incident, agreements))


def facts_entry(act: Act, kind: str, incident: Incident, agreements: Agreements) -> AuditEntry:
    """Return the entry for one version of an incident's facts: codes and times in clear, all the rest committed to."""
    facts = incident.facts
    return act.entry(
        kind,
        subjects={"incident": str(incident.id)},
        detail={
            "ticket": incident.ticket,
            "version": incident.version,
            "agreement": agreements.reference_id,
            "inside_perimeter": facts.inside_perimeter.value,
            "intent": facts.intent.value,
            "cause": facts.cause.value,
            "impact": facts.impact,
            "criticality": facts.criticality,
            "tlp": facts.tlp.value,
            "aware_at": timestamp_text(facts.aware_at),
            "affected_customers": len(facts.affected_customers),
        },
        private={"facts": facts},
    )
