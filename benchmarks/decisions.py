"""Decisions for 10,000 and for 100,000 customers: the time per customer must not grow.

Reference: the smaller number, in alternating rounds of the same run. Customers differ in profile, region and service;
a hundred of them are listed with harm of their own.
"""

import statistics
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from table import result_line

from notifications.agreement import bundled_agreements
from notifications.customer.records import AgreementBinding, Customer, LevelChoice, ProfileVersion
from notifications.incident import (
    AffectedCustomer,
    Answer,
    Cause,
    Harm,
    IncidentFacts,
    Intent,
    LocalizedText,
    UnlistedCustomers,
)
from notifications.use_cases.incidents.customer_decider import Agreements, CustomerCase, CustomerDecider

_NOW = datetime(2026, 3, 1, 2, 40, tzinfo=UTC)
_SIGNED = _NOW - timedelta(days=300)
_AGREEMENT = "secnumcloud_iaas_3_0"


def _case(number: int) -> CustomerCase:
    customer = Customer(
        id=UUID(int=number + 1), name=f"Customer {number}", language="fr", time_zone="Europe/Paris",
        services=(), regions=(("eu-west",), ("eu-north",), ())[number % 3], availability_zones=(), created_at=_SIGNED,
    )  # fmt: skip
    choices = ((LevelChoice(impacts=("I1",)),), (), None)[number % 3]
    profile = ProfileVersion(UUID(int=number + 1), customer.id, 1, choices, _SIGNED, _SIGNED, "bench")
    return CustomerCase(customer, (AgreementBinding(customer.id, _AGREEMENT, _SIGNED, _SIGNED),), (profile,))


def _facts() -> IncidentFacts:
    text = LocalizedText.of({"en": "x"})
    return IncidentFacts(
        title=text, summary=text, aware_at=_NOW, inside_perimeter=Answer.YES, intent=Intent.UNKNOWN, cause=Cause.BUG,
        service_harm=Harm(Answer.YES, Answer.NO, Answer.UNKNOWN, Answer.NO), impact="I2", criticality="C2",
        security_measures_harmed=Answer.NO, normal_operation_disrupted=Answer.YES, regions=("eu-west",),
        affected_customers=tuple(
            AffectedCustomer(UUID(int=number + 1), data_harm=Harm(confidentiality=Answer.YES)) for number in range(100)
        ),
        unlisted_customers=UnlistedCustomers.NOT_AFFECTED,
    )  # fmt: skip


def _seconds(cases: list[CustomerCase], agreements: Agreements) -> float:
    start = time.perf_counter()
    decider = CustomerDecider(_facts(), agreements)
    for case in cases:
        decider.decide(case)
    return time.perf_counter() - start


def main() -> None:
    agreements = Agreements(bundled_agreements(), _AGREEMENT)
    few, many = [_case(number) for number in range(10_000)], [_case(number) for number in range(100_000)]
    _seconds(few, agreements)
    rounds = [(_seconds(few, agreements) / 10_000, _seconds(many, agreements) / 100_000) for _ in range(5)]
    growth = [large / small for small, large in rounds]
    print(f"  10,000 customers: {statistics.median(small for small, _ in rounds) * 1e6:6.1f} µs per customer")
    print(f" 100,000 customers: {statistics.median(large for _, large in rounds) * 1e6:6.1f} µs per customer")
    spread = f"{statistics.median(growth):.2f} ({min(growth):.2f} to {max(growth):.2f})"
    print(f"  per-customer ratio 100,000/10,000: {spread}; linear is 1.0")
    print(result_line("decisions", statistics.median(growth), at_most=1.2))


if __name__ == "__main__":
    main()
