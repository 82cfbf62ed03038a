"""Find decisions by terms that do not bind the customer any more, because an agreement was recorded late."""

from collections.abc import Collection
from uuid import UUID

from notifications.customer.records import binding_in_force, profile_in_force
from notifications.incident import Incident
from notifications.ports import Transaction
from notifications.use_cases.incidents.customer_decider import Agreements, CustomerDecider, customer_case


def outdated_decisions(
    tx: Transaction, incident: Incident, customer_ids: Collection[UUID], agreements: Agreements
) -> set[UUID]:
    """Return the customers, of those given, whose decision would be another one by the terms that bind them now.

    1. Leave out customers whose agreement and levels, in force when the provider became aware, were recorded before the
       incident was: terms that were recorded in time decided.
    2. Decide the others again, and compare with the decision that is in force.

    An announcement has no such decisions. NOT found: a customer without a draft that would have one by its new terms.
    """
    if incident.facts.announcement is not None:
        return set()
    # 1.
    tx.customers.load(customer_ids)
    aware_at, late = incident.facts.aware_at, []
    for customer_id in customer_ids:
        case = customer_case(tx, tx.customers.require(customer_id))
        terms = binding_in_force(case.bindings, aware_at), profile_in_force(case.profiles, aware_at)
        if any(each is not None and each.recorded_at > incident.opened_at for each in terms):
            late.append(case)
    if not late:
        return set()
    # 2.
    decider, decided = CustomerDecider(incident.facts, agreements), tx.incidents.current_decisions(incident.id)
    return {
        case.customer.id
        for case in late
        if case.customer.id in decided and decided[case.customer.id].decision != decider.decide(case)
    }
