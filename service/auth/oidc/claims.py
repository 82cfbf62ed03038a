"""What the claims of a provider mean here: roles, customers, address. Pure."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.ports.accounts import CUSTOMER_ROLES, Role
from service.settings.oidc import OidcSettings

#: An auditor of the customers that the customer claim names; ``auditor`` alone reads everything.
CUSTOMER_AUDITOR = "customer_auditor"
#: What a claim may be mapped to. A service account is no person and never signs in by a provider.
MAPPED_ROLES = frozenset({role.value for role in Role if role is not Role.SERVICE_ACCOUNT} | {CUSTOMER_AUDITOR})
#: Values looked at of one claim; directories with more groups let the provider send the relevant ones.
_MAX_VALUES = 1000


def claim_values(claims: Mapping[str, Any], path: str | None) -> tuple[str, ...]:
    """Return the texts at a dotted path: one text, or those of a list; nothing for anything else.

    A name that itself has dots, such as ``https://cloud.example/roles``, is found as it stands.
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
    """Return each role that the claims give, with the customer that it is held at.

    A value without a mapping gives nothing; a role of a customer without a customer gives nothing. No claim widens a
    role: an auditor of customers whose customer claim is missing reads nothing, and not everything.
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
        # A value that is no identifier names no customer.
        return None


def proven_address(claims: Mapping[str, Any], settings: OidcSettings) -> str | None:
    """Return the address that the provider vouches for, normalised; None where it vouches for none.

    ``email_verified`` must be the JSON value true: the text "true" is what a person could have typed.
    """
    email = claims.get("email")
    is_proven = claims.get("email_verified") is True or (settings.trust_email and "email_verified" not in claims)
    return email if isinstance(email, str) and is_proven else None
