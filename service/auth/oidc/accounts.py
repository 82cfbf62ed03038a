"""Map a verified identity of an OpenID provider to an account, and the roles in its claims to grants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from email_validator import EmailNotValidError, validate_email

from notifications.incident import LANGUAGES
from notifications.use_cases.audit_context import AuditContext
from service.auth.accounts import AccountDraft, grant_entry, open_account
from service.auth.oidc.claims import granted_roles, proven_address
from service.auth.oidc.refusal import OidcRefusedError
from service.ports.accounts import Account, AccountKind, ExternalIdentity, Grant, Role
from service.ports.store import AccessTransaction
from service.settings.oidc import OidcSettings

_log = structlog.get_logger(__name__)

_MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Admission:
    """The result of mapping the claims. It is committed even after a refusal, because roles may have been removed."""

    account: Account
    #: code of the refusal, or None
    refusal: str | None


def admit(
    tx: AccessTransaction, act: AuditContext, claims: Mapping[str, Any], settings: OidcSettings, default_language: str
) -> Admission:
    """Return the account of verified claims, after its grants are brought in line.

    1. A known identity belongs to its account, even if its address has changed.
    2. Otherwise take the account with the verified address, if it was created for a person who has not used it yet: it
       has no password, passkey, generator, token, and no other identity.
    3. Otherwise create an account, if the settings allow it and the claims give at least one role.
    4. Add and remove grants that come from claims; grants made by an administrator stay. If the account has no grant
       left, end its sessions.

    Raises OidcRefusedError without any change.
    """
    wanted = {
        (role, customer_id)
        for role, customer_id in granted_roles(claims, settings)
        if customer_id is None or _is_customer(tx, customer_id)
    }
    # 1.
    identity = tx.accounts.external_identity(settings.issuer, claims["sub"])
    account = tx.accounts.get(identity.account_id) if identity is not None else None
    if account is None:
        # 2. and 3.
        address = _address(claims, settings)
        account = tx.accounts.by_email(address)
        if account is not None:
            _verify_unused(tx, account)
        elif not settings.create_accounts:
            raise OidcRefusedError("account_unknown")
        elif not wanted:
            raise OidcRefusedError("no_role")
        else:
            draft = AccountDraft(
                AccountKind.PERSON, _name(claims, address), address, _language(claims, default_language)
            )
            account = open_account(tx, act, draft)
        _link(tx, act, account, claims["sub"], settings)
    if not account.active:
        raise OidcRefusedError("account_inactive")
    # 4.
    if _bring_in_line(tx, act, account.id, wanted):
        return Admission(account, None)
    if ended := tx.sessions.end_all(account.id):
        tx.audit.append([
            act.entry("sessions.ended", subjects={"account": str(account.id)}, detail={"sessions": ended}),
        ])  # fmt: skip
    return Admission(account, "no_role")


def _is_customer(tx: AccessTransaction, customer_id: UUID) -> bool:
    if tx.customers.get(customer_id) is None:
        _log.warning("claim.customer_unknown")
        return False
    return True


def _address(claims: Mapping[str, Any], settings: OidcSettings) -> str:
    """Return the verified address in the form of accounts; raises OidcRefusedError if there is none."""
    address = proven_address(claims, settings)
    if address is None:
        raise OidcRefusedError("address_unproven")
    try:
        # Not casefold(): it would turn the domain "faß.example" into another one.
        return validate_email(address, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError:
        raise OidcRefusedError("address_malformed") from None


def _verify_unused(tx: AccessTransaction, account: Account) -> None:
    """Raise OidcRefusedError unless nobody can have used the account yet: a used account must not be taken over."""
    is_used = (
        account.kind is not AccountKind.PERSON
        or tx.credentials.password(account.id) is not None
        or tx.credentials.totp(account.id) is not None
        or bool(tx.credentials.passkeys(account.id))
        or bool(tx.tokens.of_account(account.id))
        or bool(tx.accounts.external_identities(account.id))
    )
    if is_used:
        raise OidcRefusedError("address_taken")


def _link(tx: AccessTransaction, act: AuditContext, account: Account, subject: str, settings: OidcSettings) -> None:
    """Store the identity; an invitation that is still under way sets no password any more."""
    tx.accounts.add_external_identity(ExternalIdentity(settings.issuer, subject, account.id, act.now))
    for purpose in ("invitation", "reset"):
        tx.sessions.drop_links(purpose, account.id)
    tx.audit.append([
        act.entry(
            "identity.linked",
            subjects={"account": str(account.id)},
            private={"issuer": settings.issuer, "subject": subject},
        )
    ])  # fmt: skip


def _bring_in_line(
    tx: AccessTransaction, act: AuditContext, account_id: UUID, wanted: set[tuple[Role, UUID | None]]
) -> int:
    """Make the grants from claims equal to ``wanted``; return how many grants and offers the account has afterwards.

    A role that an administrator granted is not granted again: it may be limited to a period, and no claim removes that
    limit.
    """
    held = {(grant.role, grant.customer_id): grant for grant in tx.accounts.grants(account_id)}
    entries = []
    for place, grant in list(held.items()):
        if grant.from_claims and place not in wanted:
            tx.accounts.remove_grant(grant.id)
            entries.append(grant_entry(tx, act, "role.revoked", grant))
            del held[place]
    for role, customer_id in sorted(wanted - held.keys(), key=str):
        grant = Grant(
            id=act.identifiers.new_id(),
            account_id=account_id,
            role=role,
            customer_id=customer_id,
            starts_at=None,
            ends_at=None,
            granted_at=act.now,
            granted_by=act.actor,
            from_claims=True,
        )
        tx.accounts.add_grant(grant)
        entries.append(grant_entry(tx, act, "role.granted", grant))
        held[role, customer_id] = grant
    if entries:
        tx.audit.append(entries)
    # A person who was only offered a membership signs in to accept it.
    return len(held) + len(tx.accounts.offers(account_id))


def _name(claims: Mapping[str, Any], address: str) -> str:
    name = claims.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return address.partition("@")[0]
    return name.strip()[:_MAX_NAME_CHARACTERS]


def _language(claims: Mapping[str, Any], default: str) -> str:
    locale = claims.get("locale")
    language = locale[:2].lower() if isinstance(locale, str) else ""
    return language if language in LANGUAGES else default
