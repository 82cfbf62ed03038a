"""The contract as data: definitions, priority matrix, commitments, levels and deadlines, each with its clause.

A second agreement is a second file; no code changes. What binds a customer is an agreement, a DPA and the products
that it ordered: ``bound_terms`` makes one agreement of them.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from notifications.agreement.binding import bound_terms, dpa_by_default, dpas_of, verify_joined
from notifications.agreement.commitments import DeadlineBinding
from notifications.agreement.conditions import NATURES, AllOf, AnyOf, Condition, FactIs, NoneOf
from notifications.agreement.dpa_parsing import DPA_SCHEMA, parse_dpa, verify_dates_apart
from notifications.agreement.parsing import parse_agreement
from notifications.agreement.parts import root_table
from notifications.agreement.terms import (
    Agreement,
    Deadline,
    Definition,
    Dpa,
    Level,
    Limb,
    Priority,
    Product,
    Reference,
    ScaleLevel,
)
from notifications.errors import AgreementError

__all__ = [
    "NATURES",
    "Agreement",
    "AllOf",
    "AnyOf",
    "Condition",
    "Deadline",
    "DeadlineBinding",
    "Definition",
    "Dpa",
    "FactIs",
    "Level",
    "Limb",
    "NoneOf",
    "Priority",
    "Product",
    "Reference",
    "ScaleLevel",
    "agreements_of",
    "bound_terms",
    "bundled_agreements",
    "bundled_dpas",
    "bundled_files",
    "dpa_by_default",
    "dpas_of",
    "parse_agreement",
    "parse_dpa",
]


def bundled_files() -> dict[str, bytes]:
    """Return the contract files that are part of the product, by name."""
    folder = resources.files(__package__)
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".toml")}


def agreements_of(files: Iterable[tuple[str, bytes]]) -> tuple[Mapping[str, Agreement], Mapping[str, Dpa]]:
    """Return the agreements and the DPAs in contract files, by id; raises AgreementError on the first fault.

    ``files``: (name, content). Each agreement is joined with the last DPA that it names, and holds for all its
    products. Checked beside each file: ids are unique, no two versions of one DPA are in force on one day, every
    agreement can be joined with its DPAs for each product.
    """
    read: dict[str, Agreement] = {}
    dpas: dict[str, Dpa] = {}
    file_of: dict[str, str] = {}
    for name, data in sorted(files):
        found: Agreement | Dpa
        if root_table(data, name).words("schema") == DPA_SCHEMA:
            found = parse_dpa(data, name)
        else:
            found = parse_agreement(data, name)
        if found.id in read or found.id in dpas:
            raise AgreementError(name, "id", f"{found.id!r} is also the id in {file_of[found.id]}")
        file_of[found.id] = name
        if isinstance(found, Dpa):
            dpas[found.id] = found
        else:
            read[found.id] = found
    verify_dates_apart(dpas.values(), file_of)
    for agreement in read.values():
        verify_joined(agreement, dpas, file_of[agreement.id])
    joined = {
        agreement.id: bound_terms(agreement, dpas[agreement.dpa_periods[-1].dpa_id] if agreement.dpa_periods else None)
        for agreement in read.values()
    }
    return MappingProxyType(joined), MappingProxyType(dpas)


@cache
def _bundled() -> tuple[Mapping[str, Agreement], Mapping[str, Dpa]]:
    agreements, dpas = agreements_of(bundled_files().items())
    for name in bundled_files():
        if name.removesuffix(".toml") not in {*agreements, *dpas}:
            raise AgreementError(name, "id", "must be the name of the file")
    return agreements, dpas


def bundled_agreements() -> Mapping[str, Agreement]:
    """Return the agreements that are part of the product, by id; raises AgreementError if a file is not valid."""
    return _bundled()[0]


def bundled_dpas() -> Mapping[str, Dpa]:
    """Return the DPAs that are part of the product, by id; raises AgreementError if a file is not valid."""
    return _bundled()[1]
