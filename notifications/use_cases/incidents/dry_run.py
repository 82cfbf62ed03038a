"""Dry run: who would be told, who would not, and why — for a draft incident or a changed profile. Writes nothing."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from notifications.classification import Classification
from notifications.customer.records import Customer, LevelChoice, ProfileVersion
from notifications.decision import Decision
from notifications.incident import Incident, IncidentFacts, validate_facts
from notifications.ports import Page, Transaction
from notifications.use_cases.incidents.apply_facts import verify_customers_exist
from notifications.use_cases.incidents.customer_decider import (
    Agreements,
    CustomerDecider,
    customer_case,
    customer_cases,
)

#: Incidents read at a time while looking back.
_PAGE = 200


@dataclass(frozen=True, slots=True)
class IncidentDryRun:
    """What a draft incident would come to."""

    classification: Classification
    outcomes: tuple[tuple[Customer, Decision], ...]


@dataclass(frozen=True, slots=True)
class ProfileDryRun:
    """What a changed profile would have changed, incident by incident, newest first; only differing ones."""

    examined: int
    differing: tuple[tuple[Incident, Decision, Decision], ...]


def dry_run_incident(tx: Transaction, now: datetime, facts: IncidentFacts, agreements: Agreements) -> IncidentDryRun:
    """Return who would be told of these facts; raises InvalidInputError as declaring them would."""
    validate_facts(facts, agreements.reference, now)
    verify_customers_exist(tx, facts)
    decider = CustomerDecider(facts, agreements)
    return IncidentDryRun(
        decider.reference, tuple((case.customer, decider.decide(case)) for case in customer_cases(tx))
    )


def dry_run_profile(
    tx: Transaction,
    customer_id: UUID,
    choices: tuple[LevelChoice, ...] | None,
    since: datetime,
    agreements: Agreements,
) -> ProfileDryRun:
    """Return which incidents since a moment the customer would have been told of otherwise under these choices.

    The present profile is taken as it was in force at each incident's awareness; the changed one as if always in force.
    """
    customer = tx.customers.require(customer_id)
    case = customer_case(tx, customer)
    wished = ProfileVersion(
        id=customer_id,
        customer_id=customer_id,
        version=1 + max((profile.version for profile in case.profiles), default=0),
        choices=choices,
        effective_at=customer.created_at,
        recorded_at=customer.created_at,
        recorded_by="dry_run",
    )
    examined, differing, cursor = 0, list[tuple[Incident, Decision, Decision]](), None
    while True:
        incidents, cursor = tx.incidents.page(Page(_PAGE, cursor))
        for incident in incidents:
            if incident.facts.aware_at < since:
                continue
            examined += 1
            decider = CustomerDecider(incident.facts, agreements)
            as_wished = replace(case, profiles=(replace(wished, effective_at=incident.facts.aware_at),))
            now, then = decider.decide(case), decider.decide(as_wished)
            if now.verdict is not then.verdict:
                differing.append((incident, now, then))
        if cursor is None:
            return ProfileDryRun(examined, tuple(differing))
