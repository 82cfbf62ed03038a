"""The contract as data: definitions, priority matrix, commitments, levels and deadlines, each with its clause.

A second agreement is a second file. ``parse_agreement`` reads it; no code changes.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from notifications.agreement.conditions import NATURES, AllOf, AnyOf, Condition, FactIs, NoneOf
from notifications.agreement.parsing import parse_agreement
from notifications.agreement.terms import (
    Agreement,
    Deadline,
    Definition,
    Level,
    Limb,
    Priority,
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
    "Definition",
    "FactIs",
    "Level",
    "Limb",
    "NoneOf",
    "Priority",
    "ScaleLevel",
    "bundled_agreements",
    "parse_agreement",
]


@cache
def bundled_agreements() -> Mapping[str, Agreement]:
    """Return the agreements that are part of the product, by id; raises AgreementError if a file is not valid."""
    agreements: dict[str, Agreement] = {}
    folder = resources.files(__package__)
    for entry in sorted(folder.iterdir(), key=lambda found: found.name):
        if not entry.name.endswith(".toml"):
            continue
        agreement = parse_agreement(entry.read_bytes(), entry.name)
        if entry.name != f"{agreement.id}.toml":
            raise AgreementError(entry.name, "id", f"{agreement.id!r} must be the name of the file")
        agreements[agreement.id] = agreement
    return MappingProxyType(agreements)
