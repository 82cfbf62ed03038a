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


#: A random number has more digits than a sequential one, so that both can be in one year.
_RANDOM_DIGITS = 9


def record_incident(
    tx: Transaction,
    act: AuditContext,
    facts: IncidentFacts,
    agreements: Agreements,
    *,
    random_ticket: bool = False,
    exercise: bool = False,
) -> IncidentResult:
    """Declare an incident, or an exercise, which stays one.

    With ``random_ticket`` the ticket number does not tell how many incidents there were. Raises InvalidInputError with
    every fault of the facts; nothing is stored then.

    1. Validate the facts against the reference agreement and the current time. Check that the stated customers exist.
    2. Assign the ticket number, of a series of its own for exercises, and store the incident.
    3. Record the declaration, classify, decide per customer and draft notices, as for every later change.
    """
    # 1.
    validate_facts(facts, agreements.reference, act.now)
    verify_customers_exist(tx, facts)
    # 2.
    ticket = _random_ticket(tx, act, exercise=exercise) if random_ticket else _next_ticket(tx, act, exercise=exercise)
    incident = Incident(
        id=act.identifiers.new_id(),
        ticket=ticket,
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


def _next_ticket(tx: Transaction, act: AuditContext, *, exercise: bool) -> str:
    year = act.now.year
    return f"{_series(exercise=exercise)}-{year}-{tx.incidents.next_ticket_number(year, exercise=exercise):06d}"


def _random_ticket(tx: Transaction, act: AuditContext, *, exercise: bool) -> str:
    """Return a ticket number that no incident has."""
    while True:
        number = int.from_bytes(act.identifiers.new_salt()) % 10**_RANDOM_DIGITS
        ticket = f"{_series(exercise=exercise)}-{act.now.year}-{number:0{_RANDOM_DIGITS}d}"
        if tx.incidents.by_ticket(ticket) is None:
            return ticket


def _series(*, exercise: bool) -> str:
    return "EX" if exercise else "INC"
