"""The classification of an incident under the agreements that bind customers, where it differs from the reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice, pairwise, takewhile
from uuid import UUID

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


#: A binding, and the moment from which another one of its customer holds, or None.
_Held = tuple[AgreementBinding, datetime | None]


_NO_END = datetime.max.replace(tzinfo=UTC)


class TermsOfCustomers:
    """What bound each customer, to look up for many incidents whether their customers have other priorities."""

    def __init__(self, bindings: Sequence[AgreementBinding], agreements: Agreements) -> None:
        self._agreements = agreements
        self._of_customer: dict[UUID, list[_Held]] = {}
        #: by agreement and products
        self._of_terms: dict[tuple[object, ...], list[_Held]] = {}
        if all(each.agreement_id == agreements.reference_id and each.products is None for each in bindings):
            return
        for held in _held(bindings):
            self._of_customer.setdefault(held[0].customer_id, []).append(held)
            self._of_terms.setdefault((held[0].agreement_id, held[0].products), []).append(held)
        for held_by_many in self._of_terms.values():
            held_by_many.sort(key=lambda held: held[1] or _NO_END, reverse=True)

    @property
    def uniform(self) -> bool:
        """Whether the reference agreement with all its products binds everybody, so that nothing can differ."""
        return not self._of_terms

    def other(self, facts: IncidentFacts, reference: Classification) -> tuple[OtherClassification, ...]:
        """Return what differs from the reference for a customer that the incident affects or may affect.

        As for decisions, what bound the customer at the moment of awareness counts. Terms of one agreement with the
        same result are named once.
        """
        found: dict[tuple[object, ...], OtherClassification] = {}
        for binding in self._concerned(facts):
            if binding.agreement_id not in self._agreements.by_id:
                continue
            terms = self._agreements.terms(binding, facts.aware_at)
            classification = classify(facts, terms)
            if _result(classification) != _result(reference):
                found.setdefault((terms.id, _result(classification)), OtherClassification(terms, classification))
        return tuple(found[key] for key in sorted(found, key=repr))

    def _concerned(self, facts: IncidentFacts) -> Iterator[AgreementBinding]:
        """Yield the bindings in force of concerned customers, of other customers one for each agreement and products.

        So the work does not grow with the number of customers, except where nobody else has the same terms.
        """
        at = facts.aware_at
        stated = {each.customer_id: each.affected for each in facts.affected_customers}
        for customer_id, affected in stated.items():
            if affected is not Answer.NO:
                yield from (each[0] for each in self._of_customer.get(customer_id, ()) if _holds(each, at))
        if facts.unlisted_customers is not UnlistedCustomers.NOT_AFFECTED:
            for held in self._of_terms.values():
                # Those that end last come first, so that terms which nobody has any more cost nothing.
                lasting = takewhile(lambda each: at < (each[1] or _NO_END), held)
                others = (each[0] for each in lasting if _holds(each, at) and each[0].customer_id not in stated)
                yield from islice(others, 1)


def _holds(held: _Held, at: datetime) -> bool:
    binding, until = held
    return binding.effective_at <= at and (until is None or at < until)


def _held(bindings: Sequence[AgreementBinding]) -> Iterator[_Held]:
    """Yield each binding with the moment from which another one of its customer holds, or None."""
    ordered = sorted(bindings, key=lambda each: (each.customer_id.int, each.effective_at, each.recorded_at))
    for _, own in groupby(ordered, key=lambda each: each.customer_id):
        history = [*own, None]
        for binding, later in pairwise(history):
            if binding is not None:
                yield binding, None if later is None else later.effective_at


def _result(classification: Classification) -> tuple[object, ...]:
    return classification.possible_natures, classification.possible_priorities, classification.gti_seconds
