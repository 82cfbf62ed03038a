"""Decide for each customer, by one version of the facts and by its agreement and profile in force."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from notifications.agreement import Agreement
from notifications.classification import Classification, classify
from notifications.customer.records import (
    AgreementBinding,
    Customer,
    ProfileVersion,
    binding_in_force,
    profile_in_force,
)
from notifications.decision import Decider, Decision, Reason, Verdict
from notifications.errors import Fault, InvalidInputError
from notifications.incident import Answer, IncidentFacts
from notifications.ports import Transaction
from notifications.use_cases.duties.legal_duties import LegalDuties


@dataclass(frozen=True, slots=True)
class Agreements:
    """The agreement versions of this installation, and the law beside them."""

    by_id: Mapping[str, Agreement]
    #: the agreement by which the provider itself classifies an incident: levels, priority, ticket
    reference_id: str
    #: the provider's own targets in seconds by priority; empty means the agreement's GTI
    internal_targets_seconds: Mapping[str, int] = field(default_factory=dict)
    #: whether every notice must be released by a person other than its last author
    four_eyes: bool = False
    #: the law, and the provider under it
    duties: LegalDuties = field(default_factory=LegalDuties)

    @property
    def reference(self) -> Agreement:
        """The provider's reference agreement."""
        return self.by_id[self.reference_id]

    def named(self, agreement_id: str, where: str = "agreement_id") -> Agreement:
        """Return an agreement by id; raises InvalidInputError for the field ``where``."""
        try:
            return self.by_id[agreement_id]
        except KeyError:
            known = ", ".join(sorted(self.by_id))
            raise InvalidInputError(Fault(where, f"no such agreement; known agreements: {known}")) from None


@dataclass(frozen=True, slots=True)
class CustomerCase:
    """A customer with its agreement bindings and profile versions: the input of its decision."""

    customer: Customer
    bindings: Sequence[AgreementBinding]
    profiles: Sequence[ProfileVersion]


def customer_cases(tx: Transaction) -> list[CustomerCase]:
    """Return every customer with its bindings and profiles, with three queries in total."""
    bindings: dict[UUID, list[AgreementBinding]] = {}
    for binding in tx.customers.bindings():
        bindings.setdefault(binding.customer_id, []).append(binding)
    profiles: dict[UUID, list[ProfileVersion]] = {}
    for profile in tx.customers.profiles():
        profiles.setdefault(profile.customer_id, []).append(profile)
    return [
        CustomerCase(customer, bindings.get(customer.id, ()), profiles.get(customer.id, ()))
        for customer in tx.customers.all()
    ]


def customer_case(tx: Transaction, customer: Customer) -> CustomerCase:
    """Return one customer with its bindings and profiles."""
    return CustomerCase(customer, tx.customers.bindings(customer.id), tx.customers.profiles(customer.id))


class CustomerDecider:
    """Decides one version of the facts for any number of customers, each by its own agreement and profile."""

    def __init__(self, facts: IncidentFacts, agreements: Agreements) -> None:
        self.facts = facts
        self._stated = {stated.customer_id: stated for stated in facts.affected_customers}
        self._seen_by_unlisted = replace(facts, affected_customers=())
        self.agreements = agreements
        self._per_agreement: dict[str, Decider] = {}
        self._classifications: dict[str, Classification] = {}
        #: the classification by the provider's reference agreement
        self.reference = self.classification(agreements.reference_id)

    def classification(self, agreement_id: str) -> Classification:
        """Return the classification by one agreement; it is computed once."""
        if agreement_id not in self._classifications:
            self._classifications[agreement_id] = classify(self.facts, self.agreements.by_id[agreement_id])
        return self._classifications[agreement_id]

    def seen_by(self, customer_id: UUID) -> IncidentFacts:
        """Return the facts that one customer may see: without the facts about other customers."""
        stated = self._stated.get(customer_id)
        return self._seen_by_unlisted if stated is None else replace(self.facts, affected_customers=(stated,))

    def decide(self, case: CustomerCase) -> Decision:
        """Return the decision by the agreement and profile in force when the provider became aware (11.1.1.3)."""
        at = self.facts.aware_at
        binding = binding_in_force(case.bindings, at)
        if binding is None:
            return _not_bound(case.customer, self.reference)
        decider = self._per_agreement.get(binding.agreement_id)
        if decider is None:
            decider = Decider(
                self.facts,
                self.classification(binding.agreement_id),
                self.agreements.by_id[binding.agreement_id],
                self.agreements.internal_targets_seconds or None,
            )
            self._per_agreement[binding.agreement_id] = decider
        return decider.decide(case.customer, profile_in_force(case.profiles, at))


class DeciderCache:
    """Caches the deciders of the last versions of facts, because all notices of an incident need the same one.

    It compares the facts by object identity, because the store caches decoded facts. A different object is a miss.
    """

    def __init__(self, kept: int = 4) -> None:
        self._deciders: deque[CustomerDecider] = deque(maxlen=kept)

    def of(self, facts: IncidentFacts, agreements: Agreements) -> CustomerDecider:
        """Return the decider of one version of the facts."""
        for decider in tuple(self._deciders):
            if decider.facts is facts and decider.agreements is agreements:
                return decider
        made = CustomerDecider(facts, agreements)
        self._deciders.append(made)
        return made


def _not_bound(customer: Customer, classification: Classification) -> Decision:
    """Return the decision for a customer that no agreement bound when the provider became aware (10)."""
    return Decision(
        customer_id=customer.id,
        agreement_id="",
        profile_version=None,
        verdict=Verdict.DO_NOT_NOTIFY,
        nature=classification.nature,
        priority=classification.priority,
        reasons=(Reason("not_bound", "10", Answer.YES, obliges=False, message="reason.not_bound"),),
        due_at=None,
        due_kind=None,
        target_at=None,
    )
