"""Derive roles, customers and the address from the claims of a provider. Pure."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.ports.accounts import CUSTOMER_ROLES, Role
from service.settings.oidc import OidcSettings

#: An auditor of the customers in the customer claim. The role ``auditor`` reads everything.
CUSTOMER_AUDITOR = "customer_auditor"
#: Roles that a claim may be mapped to. A service account is not a person and never signs in through a provider.
MAPPED_ROLES = frozenset({role.value for role in Role if role is not Role.SERVICE_ACCOUNT} | {CUSTOMER_AUDITOR})
#: Greatest number of values that are read from one claim. The provider must filter the groups of larger directories.
_MAX_VALUES = 1000


def claim_values(claims: Mapping[str, Any], path: str | None) -> tuple[str, ...]:
    """Return the texts at a dotted path: one text, or the texts of a list; empty for any other value.

    A claim whose name contains dots, such as ``https://cloud.example/roles``, is found by its full name.
    """
    value = None if path is None else _at(claims, path)
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(item for item in value[:_MAX_VALUES] if isinstance(item, str))
    return ()


def _at(claims: Mapping[str, Any], path: str) -> object:
    if path in claims:
        return claims[path]
    for position, char in enumerate(path):
        inner = claims.get(path[:position]) if char == "." else None
        if isinstance(inner, dict) and (found := _at(inner, path[position + 1 :])) is not None:
            return found
    return None


def granted_roles(claims: Mapping[str, Any], settings: OidcSettings) -> tuple[tuple[Role, UUID | None], ...]:
    """Return each role that the claims give, with its customer.

    A value without a mapping gives no role, and so does a customer role without a customer. A missing claim never
    widens a role: an auditor of customers without a customer claim reads nothing.
    """
    customer_ids = _customers(claims, settings)
    granted: dict[tuple[Role, UUID | None], None] = {}
    for value in claim_values(claims, settings.role_claim):
        name = settings.roles.get(value)
        if name is None:
            continue
        role = Role.AUDITOR if name == CUSTOMER_AUDITOR else Role(name)
        if name == CUSTOMER_AUDITOR or role in CUSTOMER_ROLES:
            granted |= dict.fromkeys((role, customer_id) for customer_id in customer_ids)
        else:
            granted[role, None] = None
    return tuple(granted)


def _customers(claims: Mapping[str, Any], settings: OidcSettings) -> tuple[UUID, ...]:
    values = claim_values(claims, settings.customer_claim)
    if settings.customers:
        found = [settings.customers.get(value) for value in values]
    else:
        found = [_identifier(value) for value in values]
    return tuple(dict.fromkeys(item for item in found if item is not None))


def _identifier(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        # A value that is not an identifier names no customer.
        return None


def proven_address(claims: Mapping[str, Any], settings: OidcSettings) -> str | None:
    """Return the address that the provider verified, normalised; None if there is none.

    ``email_verified`` must be the JSON value true. The text "true" is refused, because a person could have typed it.
    """
    email = claims.get("email")
    is_proven = claims.get("email_verified") is True or (settings.trust_email and "email_verified" not in claims)
    return email if isinstance(email, str) and is_proven else None
