"""Give incidents of earlier releases the overview by which lists find them."""

from notifications.classification import classify
from notifications.decision import Verdict
from notifications.ports import Transaction
from notifications.use_cases.incidents.apply_facts import overview_of
from notifications.use_cases.incidents.customer_decider import Agreements


def index_incidents(tx: Transaction, agreements: Agreements, limit: int) -> int:
    """Store the overview of at most ``limit`` incidents that have none; return how many there were.

    The numbers come from the decisions in force, as they were recorded. Nothing is decided again.
    """
    found = tx.incidents.without_overview(limit)
    for incident in found:
        decisions = [stored.decision for stored in tx.incidents.current_decisions(incident.id).values()]
        pending = [decision for decision in decisions if decision.verdict is Verdict.PENDING]
        to_notify = sum(decision.verdict is Verdict.NOTIFY for decision in decisions)
        classification = classify(incident.facts, agreements.reference)
        tx.incidents.save_overview(overview_of(incident, classification, pending, to_notify))
    return len(found)
