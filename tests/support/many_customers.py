"""Many customers, registered in one transaction, and facts that owe a notice to each of them.

Use it where a test needs more customers than requests could register in time.
"""

from datetime import UTC, datetime

from support.records import SALT, make_binding, make_contact, make_customer
from support.scenario import harm

#: Owed to every customer: who is affected is not known.
GRAVE = {
    "impact": "I1",
    "criticality": "C1",
    "intent": "malicious",
    "service_harm": harm(confidentiality="yes"),
    "unlisted_customers": "unknown",
}


async def registered(running, count):
    """Register so many customers in one go."""
    people = [make_customer(name=f"Mass {n:05}", created_at=datetime(2026, 1, 1, tzinfo=UTC)) for n in range(count)]

    def work(tx):
        for each in people:
            tx.customers.add(each, SALT)
            tx.customers.add_binding(make_binding(each))
            tx.customers.add_contact(make_contact(each))

    await running.parts.store.write(work)
    return people
