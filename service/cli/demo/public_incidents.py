"""Real public incidents as declared facts, each with its sources and the result under the agreement.

The data files are in ``incidents/``. They are not validated here: the tests compare each one with the agreement.
"""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid5

#: Namespace of the identifiers of customers for which the caller names no identifier.
_NAMESPACE = UUID("5d0f6f0c-3a44-5a0e-9a4e-6a1c1f3f7f0b")


@dataclass(frozen=True, slots=True)
class IncidentCustomer:
    """A customer of the provider in one incident; the files call it by a key, ``a``, ``b`` or ``c``."""

    key: str
    id: UUID
    #: who it is in this incident, in English
    who: str
    #: what it uses; empty means the whole service
    services: tuple[str, ...]
    regions: tuple[str, ...]
    availability_zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublicIncident:
    """An incident that happened, in the form in which a provider could have declared it."""

    #: name of its data file without the suffix
    slug: str
    name: str
    #: addresses, or titles of public reports with their publisher
    sources: tuple[str, ...]
    #: how the public facts were mapped, and what follows from the agreement
    note: str
    #: facts in the shape of the API: JSON types, times as ISO 8601 texts; a missing fact is unknown
    facts: dict[str, Any]
    #: by key
    customers: Mapping[str, IncidentCustomer]
    #: the result worked out by hand from version 3.0 of the agreement; ``customers`` by key
    expected: dict[str, Any]
    #: the same from the second agreement, for customers of all its products
    expected_2026: dict[str, Any]


def load_public_incidents(customer_ids: Mapping[str, UUID] | None = None) -> tuple[PublicIncident, ...]:
    """Return all incidents, by slug. ``customer_ids`` gives the customer for each key.

    A key without a customer gets an identifier that is the same in every run and different in every incident.
    """
    folder = resources.files(__package__) / "incidents"
    entries = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name
    )
    return tuple(
        _incident(
            entry.name.removesuffix(".toml"), tomllib.loads(entry.read_text(encoding="utf-8")), customer_ids or {}
        )
        for entry in entries
    )


def _incident(slug: str, table: dict[str, Any], customer_ids: Mapping[str, UUID]) -> PublicIncident:
    customers = {
        key: IncidentCustomer(
            key=key,
            id=customer_ids.get(key) or uuid5(_NAMESPACE, f"{slug}/{key}"),
            who=customer["who"],
            services=tuple(customer.get("services", ())),
            regions=tuple(customer.get("regions", ())),
            availability_zones=tuple(customer.get("availability_zones", ())),
        )
        for key, customer in table["customers"].items()
    }
    facts = deepcopy(table["facts"])
    for stated in facts.get("affected_customers", ()):
        stated["customer_id"] = str(customers[stated.pop("customer")].id)
    return PublicIncident(
        slug=slug,
        name=table["name"],
        sources=tuple(table["sources"]),
        note=table["note"].strip(),
        facts=facts,
        customers=MappingProxyType(customers),
        expected=table["expected"],
        expected_2026=table["under_secnumcloud_2026"],
    )
