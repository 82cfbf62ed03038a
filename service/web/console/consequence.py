"""The consequence of facts that are not declared yet, as a page shows it. Nothing is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifications.agreement import Agreement
from notifications.classification import Classification, classify
from notifications.customer.records import Customer
from notifications.decision import Decision, Reason, Verdict, carrying
from notifications.incident import IncidentFacts, PossibleDuplicate
from notifications.ports import Transaction
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.incidents.dry_run import Foresight, foresee_incident
from notifications.use_cases.incidents.next_question import NextQuestion
from notifications.use_cases.incidents.other_agreements import OtherClassification

#: Customers that are listed for each verdict; the rest are counted.
SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class DecidedCustomer:
    """One customer with the reasons that carry its verdict."""

    customer: Customer
    decision: Decision
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class VerdictGroup:
    """The customers with one verdict."""

    verdict: Verdict
    count: int
    #: the first ``SHOWN_MAX``, the nearest deadline first
    shown: tuple[DecidedCustomer, ...]


@dataclass(frozen=True, slots=True)
class Consequence:
    """What declaring the facts would come to."""

    facts: IncidentFacts
    classification: Classification
    agreement: Agreement
    #: None where the reader may not read decisions
    groups: tuple[VerdictGroup, ...] | None = None
    next_question: NextQuestion | None = None
    duplicates: tuple[PossibleDuplicate, ...] = ()
    #: names of services, regions and zones that no customer uses, by field: nobody is reached through them
    unused_names: Mapping[str, tuple[str, ...]] | None = None
    #: the names of the listed customers, for facts about them
    customer_names: Mapping[str, str] | None = None
    #: other agreements that bind customers and give another nature or priority
    other_agreements: tuple[OtherClassification, ...] = ()

    @property
    def target_percent(self) -> int | None:
        """How often the guaranteed time must be met; None while the priority is open."""
        found = (level for level in self.agreement.priorities if level.id == self.classification.priority)
        level = next(found, None)
        return None if level is None else level.target_percent

    @property
    def first_due(self) -> Decision | None:
        """The decision with the nearest deadline among those that are shown."""
        decisions = [item.decision for group in self.groups or () for item in group.shown if item.decision.due_at]
        return min(decisions, key=_due, default=None)


def classified(facts: IncidentFacts, agreements: Agreements) -> Consequence:
    """Return the nature and priority only, for a reader who may not read decisions about customers."""
    return Consequence(facts, classify(facts, agreements.reference), agreements.reference)


def foreseen(
    tx: Transaction, now: datetime, facts: IncidentFacts, agreements: Agreements, *, exercise: bool = False
) -> Consequence:
    """Return everything that declaring the facts would come to."""
    foresight = foresee_incident(tx, now, facts, agreements, exercise=exercise)
    listed = {stated.customer_id for stated in facts.affected_customers}
    return Consequence(
        facts=facts,
        classification=foresight.dry_run.classification,
        agreement=agreements.reference,
        groups=tuple(_group(verdict, foresight) for verdict in Verdict),
        next_question=foresight.next_question,
        other_agreements=foresight.dry_run.other_agreements,
        duplicates=foresight.duplicates,
        unused_names=_unused_names(facts, [customer for customer, _ in foresight.dry_run.outcomes]),
        customer_names={
            str(customer.id): customer.name for customer, _ in foresight.dry_run.outcomes if customer.id in listed
        },
    )


def _due(decision: Decision) -> Any:
    return decision.due_at


def _group(verdict: Verdict, foresight: Foresight) -> VerdictGroup:
    found = [item for item in foresight.dry_run.outcomes if item[1].verdict is verdict]
    found.sort(key=lambda item: (item[1].due_at is None, item[1].due_at or 0, item[0].name.casefold()))
    shown = tuple(DecidedCustomer(customer, decision, carrying(decision)) for customer, decision in found[:SHOWN_MAX])
    return VerdictGroup(verdict, len(found), shown)


def _unused_names(facts: IncidentFacts, customers: Sequence[Customer]) -> dict[str, tuple[str, ...]]:
    used = {
        "services": {name for customer in customers for name in customer.services},
        "regions": {name for customer in customers for name in customer.regions},
        "availability_zones": {name for customer in customers for name in customer.availability_zones},
    }
    unused = {name: tuple(item for item in getattr(facts, name) if item not in known) for name, known in used.items()}
    return {name: items for name, items in unused.items() if items}
