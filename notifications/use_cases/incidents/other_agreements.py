"""The classification of an incident under the agreements that bind customers, where it differs from the reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise

from notifications.agreement import Agreement
from notifications.classification import Classification, classify
from notifications.customer.records import AgreementBinding
from notifications.incident import Answer, IncidentFacts, UnlistedCustomers
from notifications.ports import Transaction
from notifications.use_cases.incidents.customer_decider import Agreements


@dataclass(frozen=True, slots=True)
class OtherClassification:
    """The classification under one agreement, for all its products."""

    agreement: Agreement
    classification: Classification


def other_classifications(
    tx: Transaction, facts: IncidentFacts, reference: Classification, agreements: Agreements
) -> tuple[OtherClassification, ...]:
    """Return the classification by each other agreement that binds a customer, if nature or priority differ.

    ``reference``: the classification by the provider's reference agreement.
    """
    bound = {binding.agreement_id for binding in tx.customers.bindings()} - {agreements.reference_id}
    others = (agreements.by_id[agreement_id] for agreement_id in sorted(bound & agreements.by_id.keys()))
    found = (OtherClassification(agreement, classify(facts, agreement)) for agreement in others)
    return tuple(each for each in found if _result(each.classification) != _result(reference))


class TermsOfCustomers:
    """What bound each customer, to look up for many incidents whether their customers have other priorities."""

    def __init__(self, bindings: Sequence[AgreementBinding], agreements: Agreements) -> None:
        self._agreements = agreements
        #: (agreement, DPA, products): the bindings, each with the moment at which a later one took its place
        self._held: dict[tuple[object, ...], list[tuple[AgreementBinding, datetime | None]]] = {}
        for binding, until in _held(bindings):
            terms = (binding.agreement_id, binding.dpa_id, binding.products)
            self._held.setdefault(terms, []).append((binding, until))

    def other(self, facts: IncidentFacts, reference: Classification) -> tuple[OtherClassification, ...]:
        """Return what differs from the reference for a customer that the incident affects or may affect.

        As for decisions, what bound the customer at the moment of awareness counts. Terms of one agreement with the
        same result are named once.
        """
        stated = {each.customer_id: each.affected for each in facts.affected_customers}
        otherwise = Answer.NO if facts.unlisted_customers is UnlistedCustomers.NOT_AFFECTED else Answer.UNKNOWN
        at, found = facts.aware_at, dict[tuple[object, ...], OtherClassification]()
        for held in self._held.values():
            concerned = (
                binding
                for binding, until in held
                if binding.effective_at <= at
                and (until is None or at < until)
                and stated.get(binding.customer_id, otherwise) is not Answer.NO
            )
            binding = next(concerned, None)
            if binding is None or binding.agreement_id not in self._agreements.by_id:
                continue
            terms = self._agreements.terms(binding, at)
            classification = classify(facts, terms)
            if _result(classification) != _result(reference):
                found.setdefault((terms.id, _result(classification)), OtherClassification(terms, classification))
        return tuple(found[key] for key in sorted(found, key=repr))


def _held(bindings: Sequence[AgreementBinding]) -> Iterator[tuple[AgreementBinding, datetime | None]]:
    """Yield each binding with the moment from which another one of its customer holds, or None."""
    ordered = sorted(bindings, key=lambda each: (each.customer_id, each.effective_at, each.recorded_at))
    for _, own in groupby(ordered, key=lambda each: each.customer_id):
        history = [*own, None]
        for binding, later in pairwise(history):
            if binding is not None:
                yield binding, None if later is None else later.effective_at


def _result(classification: Classification) -> tuple[object, ...]:
    return classification.possible_natures, classification.possible_priorities, classification.gti_seconds
