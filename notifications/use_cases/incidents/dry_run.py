"""Dry run: which customers would be notified, and why, of a draft incident or with another profile. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from notifications.classification import Classification
from notifications.customer.records import Customer, LevelChoice, ProfileVersion, takes_part
from notifications.decision import Decision, without_consent
from notifications.incident import Incident, IncidentFacts, PossibleDuplicate, possible_duplicates, validate_facts
from notifications.ports import Page, Transaction
from notifications.use_cases.incidents.apply_facts import verify_customers_exist
from notifications.use_cases.incidents.customer_decider import (
    Agreements,
    CustomerCase,
    CustomerDecider,
    customer_case,
    customer_cases,
)
from notifications.use_cases.incidents.next_question import NextQuestion, next_question
from notifications.use_cases.incidents.other_agreements import OtherClassification, other_classifications

#: Incidents per query, when past incidents are read.
_PAGE = 200
#: The newest incidents that a draft is compared with.
COMPARED_MAX = 200


@dataclass(frozen=True, slots=True)
class IncidentDryRun:
    """The result of a dry run for a draft incident."""

    classification: Classification
    outcomes: tuple[tuple[Customer, Decision], ...]
    #: other agreements that bind customers and give another nature or priority
    other_agreements: tuple[OtherClassification, ...] = ()


@dataclass(frozen=True, slots=True)
class Foresight:
    """A dry run of a draft incident, and what its author should look at before declaring it."""

    dry_run: IncidentDryRun
    #: the open fact whose answer would change most; None if no fact is open
    next_question: NextQuestion | None
    #: incidents that may be the same one
    duplicates: tuple[PossibleDuplicate, ...]


@dataclass(frozen=True, slots=True)
class ProfileDryRun:
    """The incidents with another verdict under the proposed profile, newest first: (incident, now, proposed)."""

    examined: int
    differing: tuple[tuple[Incident, Decision, Decision], ...]


def dry_run_incident(
    tx: Transaction, now: datetime, facts: IncidentFacts, agreements: Agreements, *, exercise: bool = False
) -> IncidentDryRun:
    """Return the decision for every customer; raises InvalidInputError as ``record_incident`` does."""
    return _dry_run(tx, now, facts, agreements, customer_cases(tx), exercise=exercise)


def foresee_incident(
    tx: Transaction, now: datetime, facts: IncidentFacts, agreements: Agreements, *, exercise: bool = False
) -> Foresight:
    """Return a dry run with the next question and possible duplicates; raises as ``dry_run_incident``."""
    cases = customer_cases(tx)
    dry_run = _dry_run(tx, now, facts, agreements, cases, exercise=exercise)
    return Foresight(
        dry_run,
        next_question(facts, cases, agreements, dry_run.classification),
        duplicates_of(tx, facts, exercise=exercise),
    )


def duplicates_of(tx: Transaction, facts: IncidentFacts, *, exercise: bool = False) -> tuple[PossibleDuplicate, ...]:
    """Return the newest incidents that may be the same as one that is about to be declared.

    An incident is never the same as an exercise.
    """
    incidents, _ = tx.incidents.page(Page(COMPARED_MAX))
    return possible_duplicates(facts, (incident for incident in incidents if incident.exercise == exercise))


def _dry_run(
    tx: Transaction,
    now: datetime,
    facts: IncidentFacts,
    agreements: Agreements,
    cases: Sequence[CustomerCase],
    *,
    exercise: bool,
) -> IncidentDryRun:
    validate_facts(facts, agreements.reference, now)
    verify_customers_exist(tx, facts)
    decider = CustomerDecider(facts, agreements)

    def decide(case: CustomerCase) -> Decision:
        decision = decider.decide(case)
        takes_no_part = exercise and not takes_part(tx.customers.contacts(case.customer.id))
        return without_consent(decision) if takes_no_part else decision

    return IncidentDryRun(
        decider.reference,
        tuple((case.customer, decide(case)) for case in cases),
        other_classifications(tx, facts, decider.reference, agreements),
    )


def dry_run_profile(
    tx: Transaction,
    customer_id: UUID,
    choices: tuple[LevelChoice, ...] | None,
    since: datetime,
    agreements: Agreements,
) -> ProfileDryRun:
    """Return the incidents since a time for which the customer's verdict would differ with these choices.

    The current decision uses the profile in force when the provider became aware of the incident. The proposed choices
    are used as if they had always been in force. Raises NotFoundError.
    """
    customer = tx.customers.require(customer_id)
    case = customer_case(tx, customer)
    proposed = ProfileVersion(
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
            if incident.facts.aware_at < since or incident.exercise:
                continue
            examined += 1
            decider = CustomerDecider(incident.facts, agreements)
            with_proposed = replace(case, profiles=(replace(proposed, effective_at=incident.facts.aware_at),))
            now, then = decider.decide(case), decider.decide(with_proposed)
            if now.verdict is not then.verdict:
                differing.append((incident, now, then))
        if cursor is None:
            return ProfileDryRun(examined, tuple(differing))
