"""The classification of an incident under the agreements that bind customers, where it differs from the reference."""

from dataclasses import dataclass

from notifications.agreement import Agreement
from notifications.classification import Classification, classify
from notifications.incident import IncidentFacts
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


def _result(classification: Classification) -> tuple[object, ...]:
    return classification.possible_natures, classification.possible_priorities, classification.gti_seconds
