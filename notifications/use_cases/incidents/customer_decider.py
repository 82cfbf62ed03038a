"""Decide for each customer, by one version of the facts and by its agreement and profile in force."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from notifications.agreement import Agreement, Dpa, Reference, bound_terms, dpa_by_default
from notifications.agreement.commitments import NoticeKind
from notifications.agreement.terms import CLAUSE_SEPARATOR
from notifications.classification import Classification, classify
from notifications.customer.records import (
    AgreementBinding,
    Customer,
    ProfileVersion,
    binding_in_force,
    profile_in_force,
)
from notifications.decision import Decider, Decision, Reason, Verdict, target_seconds
from notifications.errors import Fault, InvalidInputError
from notifications.incident import Answer, IncidentFacts
from notifications.ports import Transaction
from notifications.reporting.service_level import ServiceLevel
from notifications.use_cases.legal_duties import LegalDuties


@dataclass(frozen=True, slots=True)
class Agreements:
    """The agreement versions of this installation, and the law beside them."""

    #: each with the DPA that it names last, for all its products
    by_id: Mapping[str, Agreement]
    #: the agreement by which the provider itself classifies an incident: levels, priority, ticket
    reference_id: str
    #: the provider's own targets in seconds by priority; empty means the agreement's GTI
    internal_targets_seconds: Mapping[str, int] = field(default_factory=dict)
    #: whether every notice must be released by a person other than its last author
    four_eyes: bool = False
    dpas: Mapping[str, Dpa] = field(default_factory=dict)
    #: the law, and the provider under it
    duties: LegalDuties = field(default_factory=LegalDuties)

    @property
    def reference(self) -> Agreement:
        """The provider's reference agreement."""
        return self.by_id[self.reference_id]

    @property
    def notice_kinds(self) -> tuple[NoticeKind, ...]:
        """The kinds of notice of every agreement and of every DPA; the agreements' first."""
        documents: tuple[Agreement | Dpa, ...] = (*self.by_id.values(), *self.dpas.values())
        return tuple(kind for document in documents for kind in document.notices)

    def clauses_of(self, agreement_id: str | None, role: Reference) -> tuple[str, ...]:
        """Return the numbers of the clauses that an agreement has for a role; empty if it, or the role, is missing."""
        agreement = None if agreement_id is None else self.by_id.get(agreement_id)
        clause = None if agreement is None else agreement.reference(role)
        return () if clause is None else tuple(clause.split(CLAUSE_SEPARATOR))

    def named(self, agreement_id: str, where: str = "agreement_id") -> Agreement:
        """Return an agreement by id; raises InvalidInputError for the field ``where``."""
        try:
            return self.by_id[agreement_id]
        except KeyError:
            known = ", ".join(sorted(self.by_id))
            raise InvalidInputError(Fault(where, f"no such agreement; known agreements: {known}")) from None

    def terms(self, binding: AgreementBinding, at: datetime) -> Agreement:
        """Return what binds a customer at a moment, by its binding in force: agreement, DPA and products as one.

        Raises AgreementError if the binding names a product or a DPA that cannot be joined; ``bind_agreement`` records
        no such binding.
        """
        agreement = self.by_id[binding.agreement_id]
        dpa_id = binding.dpa_id or dpa_by_default(agreement, at.date())
        joined = agreement.dpa
        dpa = joined if dpa_id is None or (joined is not None and joined.id == dpa_id) else self.dpas[dpa_id]
        if dpa is agreement.dpa and binding.products is None:
            return agreement
        return bound_terms(
            agreement.own or agreement, dpa, None if binding.products is None else frozenset(binding.products)
        )


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
        self._per_terms: dict[Agreement, Decider] = {}
        self._classifications: dict[Agreement, Classification] = {}
        #: the classification by the provider's reference agreement
        self.reference = self.classification(agreements.reference)
        # Terms without a matrix give no target: the provider then works by the priority of its reference agreement.
        self._target_otherwise_seconds = target_seconds(
            agreements.reference, self.reference.possible_priorities, agreements.internal_targets_seconds
        )

    def classification(self, terms: Agreement) -> Classification:
        """Return the classification by one agreement, or by the terms of one customer; it is computed once."""
        if terms not in self._classifications:
            self._classifications[terms] = classify(self.facts, terms)
        return self._classifications[terms]

    def terms(self, case: "CustomerCase") -> Agreement:
        """Return what bound a customer when the provider became aware; of a customer not bound, the reference."""
        at = self.facts.aware_at
        binding = binding_in_force(case.bindings, at)
        return self.agreements.reference if binding is None else self.agreements.terms(binding, at)

    def service_levels(self) -> list[ServiceLevel]:
        """Return the priority and the GTI by the terms that were applied, in the order of their agreements' ids.

        Terms of one agreement without a matrix, for customers of other products, are a level of their own.
        """
        found = set()
        for terms, classification in self._classifications.items():
            level = next((each for each in terms.priorities if each.id == classification.priority), None)
            seconds, percent = (None, None) if level is None else (level.gti_seconds, level.target_percent)
            found.add(ServiceLevel(terms.id, classification.priority, seconds, percent))
        return sorted(found, key=lambda each: (each.agreement, each.priority or ""))

    def seen_by(self, customer_id: UUID) -> IncidentFacts:
        """Return the facts that one customer may see: without the facts about other customers."""
        stated = self._stated.get(customer_id)
        return self._seen_by_unlisted if stated is None else replace(self.facts, affected_customers=(stated,))

    def decide(self, case: CustomerCase) -> Decision:
        """Return the decision by the agreement and profile in force when the provider became aware."""
        at = self.facts.aware_at
        binding = binding_in_force(case.bindings, at)
        if binding is None:
            return _not_bound(case.customer, self.reference)
        terms = self.agreements.terms(binding, at)
        decider = self._per_terms.get(terms)
        if decider is None:
            decider = Decider(
                self.facts,
                self.classification(terms),
                terms,
                self.agreements.internal_targets_seconds or None,
                self._target_otherwise_seconds,
            )
            self._per_terms[terms] = decider
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
    """Return the decision for a customer that no agreement bound when the provider became aware."""
    return Decision(
        customer_id=customer.id,
        agreement_id="",
        profile_version=None,
        verdict=Verdict.DO_NOT_NOTIFY,
        nature=classification.nature,
        priority=classification.priority,
        reasons=(Reason("not_bound", "", Answer.YES, obliges=False, message="reason.not_bound"),),
        due_at=None,
        due_kind=None,
        target_at=None,
    )
