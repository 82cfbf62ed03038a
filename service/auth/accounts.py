"""Accounts and their roles: who may give which role to whom; each change has its entry in the log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.ports import Identifiers
from notifications.time_zones import time_zone_names
from notifications.use_cases.audit_context import AuditContext
from service.ports.accounts import CUSTOMER_ROLES, Account, AccountKind, Grant, Membership, MembershipOffer, Role
from service.ports.store import AccessTransaction

#: Roles that a service account may have; none of them decides about people, money or keys.
_ROLES_OF_SERVICES = frozenset({Role.SERVICE_ACCOUNT, Role.CUSTOMER_MEMBER, Role.AUDITOR})
#: One step of a time-based one-time password (RFC 6238, 5.2).
_TOTP_STEP = timedelta(seconds=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AccountDraft:
    """The data of a new account. The route has checked its form, and the address is normalised."""

    kind: AccountKind
    name: str
    email: str | None
    language: str


@dataclass(frozen=True, slots=True)
class GrantDraft:
    """A role to grant."""

    role: Role
    customer_id: UUID | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account in the view of an administrator: never a hash, a seed or a key."""

    account: Account
    grants: tuple[Grant, ...]
    offers: tuple[MembershipOffer, ...]
    #: the latest sign-in known from a credential or an open session; None for none
    last_sign_in_at: datetime | None
    #: whether a generator is confirmed, or a passkey registered
    has_second_factor: bool
    #: whether the person can sign in here: a password or a passkey
    has_credentials: bool


def new_account_id(identifiers: Identifiers) -> UUID:
    """Return a random identifier. Trails of several customers show it, so it must not reveal its creation time."""
    return UUID(bytes=identifiers.new_salt()[:16], version=4)


def view_account(tx: AccessTransaction, account: Account) -> AccountView:
    """Return the account with its roles and a summary of its credentials.

    Ended sessions are deleted after a time, so ``last_sign_in_at`` may miss an old sign-in by password.
    """
    totp, passkeys = tx.credentials.totp(account.id), tx.credentials.passkeys(account.id)
    moments = [session.created_at for session in tx.sessions.of_account(account.id)]
    moments += [passkey.last_used_at for passkey in passkeys if passkey.last_used_at is not None]
    if totp is not None and totp.confirmed_at is not None:
        moments.append(max(totp.confirmed_at, _EPOCH + totp.last_step * _TOTP_STEP))
    return AccountView(
        account=account,
        grants=tuple(tx.accounts.grants(account.id)),
        offers=tuple(tx.accounts.offers(account.id)),
        last_sign_in_at=max(moments, default=None),
        has_second_factor=bool(passkeys) or (totp is not None and totp.confirmed_at is not None),
        has_credentials=bool(passkeys) or tx.credentials.password(account.id) is not None,
    )


def open_account(tx: AccessTransaction, act: AuditContext, draft: AccountDraft) -> Account:
    """Create an account. It has no permission until it gets a role.

    Raises InvalidInputError for a person without an address, a service account with one, or an address in use.
    """
    if draft.kind is AccountKind.PERSON and draft.email is None:
        raise InvalidInputError(Fault("email", "a person signs in and is reached by an address"))
    if draft.kind is AccountKind.SERVICE and draft.email is not None:
        raise InvalidInputError(Fault("email", "a service account signs in by tokens alone and has no address"))
    if draft.email is not None and tx.accounts.by_email(draft.email) is not None:
        raise InvalidInputError(Fault("email", "another account has this address"))
    account = Account(
        id=new_account_id(act.identifiers),
        kind=draft.kind,
        name=draft.name,
        email=draft.email,
        language=draft.language,
        active=True,
        created_at=act.now,
        created_by=act.actor,
    )
    tx.accounts.add(account)
    tx.audit.append([_account_entry(act, "account.created", account)])
    return account


def change_account(
    tx: AccessTransaction,
    act: AuditContext,
    account_id: UUID,
    expected_version: int,
    *,
    name: str,
    language: str,
    active: bool,
) -> tuple[Account, int]:
    """Replace the data of an account; return the account and the number of sessions that ended.

    An account that becomes inactive is signed out everywhere; its tokens are not deleted but no longer work.
    Raises InvalidInputError if no active administrator would be left.
    """
    before = tx.accounts.require(account_id)
    if before.version != expected_version:
        raise VersionMismatchError("account", account_id, expected_version, before.version)
    if before.active and not active and _is_last_administrator(tx, account_id):
        raise InvalidInputError(Fault("active", "this is the last active administrator"))
    account = replace(before, name=name, language=language, active=active, version=before.version + 1)
    tx.accounts.save(account, before.version)
    ended = tx.sessions.end_all(account_id) if before.active and not active else 0
    tx.audit.append([_account_entry(act, "account.changed", account, ended)])
    return account, ended


def choose_time_zone(tx: AccessTransaction, act: AuditContext, account_id: UUID, time_zone_name: str | None) -> Account:
    """Store the zone in which a person reads and types times; None for no choice. Raises InvalidInputError."""
    if time_zone_name is not None and time_zone_name not in time_zone_names():
        raise InvalidInputError(Fault("time_zone", "is no IANA time zone"))
    before = tx.accounts.require(account_id)
    if before.time_zone == time_zone_name:
        return before
    account = replace(before, time_zone=time_zone_name, version=before.version + 1)
    tx.accounts.save(account, before.version)
    tx.audit.append([_account_entry(act, "account.changed", account)])
    return account


def grant_role(tx: AccessTransaction, act: AuditContext, account_id: UUID, draft: GrantDraft) -> Membership:
    """Give an account a role, or offer it: a person acts for a customer only after it accepted.

    1. Nobody changes their own roles. For example, only another administrator can make an administrator an analyst.
    2. A customer role belongs to an existing customer, other roles to the provider; an auditor may be either.
    3. Only an auditor has a period, and its start is before its end.
    4. A service account gets no role that decides about people.

    Raises NotFoundError, StateConflictError for 1. and if the account has the role already, InvalidInputError for 2. to
    4.
    """
    account = tx.accounts.require(account_id)
    # 1.
    _verify_not_oneself(act, account_id)
    # 2. to 4.
    if faults := _faults(tx, account, draft):
        raise InvalidInputError(*faults)
    if any(
        held.role is draft.role and held.customer_id == draft.customer_id for held in tx.accounts.grants(account_id)
    ):
        raise StateConflictError("the account holds this role already: revoke it before it is granted otherwise")
    if draft.customer_id is not None and draft.role in CUSTOMER_ROLES and account.kind is AccountKind.PERSON:
        if any(offer.customer_id == draft.customer_id for offer in tx.accounts.offers(account_id)):
            raise StateConflictError("the account is invited by this customer already: revoke that first")
        offer = MembershipOffer(act.identifiers.new_id(), account_id, draft.customer_id, draft.role, act.now, act.actor)
        offer_membership(tx, act, offer)
        return offer
    grant = Grant(
        id=act.identifiers.new_id(),
        account_id=account_id,
        role=draft.role,
        customer_id=draft.customer_id,
        starts_at=draft.starts_at,
        ends_at=draft.ends_at,
        granted_at=act.now,
        granted_by=act.actor,
    )
    tx.accounts.add_grant(grant)
    tx.audit.append([grant_entry(tx, act, "role.granted", grant)])
    return grant


def revoke_grant(tx: AccessTransaction, act: AuditContext, account_id: UUID, grant_id: UUID) -> Membership:
    """Take a role or the offer of a membership away.

    Raises NotFoundError, or StateConflictError for one's own and for the last administrator.
    """
    tx.accounts.require(account_id)
    known: list[Membership] = [*tx.accounts.grants(account_id), *tx.accounts.offers(account_id)]
    grant = next((held for held in known if held.id == grant_id), None)
    if grant is None:
        raise NotFoundError("grant", grant_id)
    _verify_not_oneself(act, account_id)
    if isinstance(grant, MembershipOffer):
        withdraw_offer(tx, act, grant)
        return grant
    if grant.role is Role.ADMINISTRATOR and _is_last_administrator(tx, account_id):
        raise StateConflictError("this is the last active administrator")
    tx.accounts.remove_grant(grant_id)
    tx.audit.append([grant_entry(tx, act, "role.revoked", grant)])
    return grant


def sign_out(tx: AccessTransaction, act: AuditContext, account_id: UUID) -> int:
    """End every session of an account; returns how many there were."""
    tx.accounts.require(account_id)
    ended = tx.sessions.end_all(account_id)
    tx.audit.append([
        act.entry("sessions.ended", subjects={"account": str(account_id)}, detail={"sessions": ended}),
    ])  # fmt: skip
    return ended


def reset_second_factor(tx: AccessTransaction, act: AuditContext, account_id: UUID) -> int:
    """Delete generator, passkeys and recovery codes of a person who lost them; return how many sessions ended.

    The password stays, so the administrator cannot sign in as this person. Raises StateConflictError for a service
    account, and for one's own factors: changing those requires a proof of the current factor.
    """
    account = tx.accounts.require(account_id)
    if account.kind is AccountKind.SERVICE:
        raise StateConflictError("a service account has no second factor")
    if act.actor == f"account:{account_id}":
        raise StateConflictError("one's own second factor is changed where one proves it")
    passkeys = tx.credentials.passkeys(account_id)
    had_totp = tx.credentials.totp(account_id) is not None
    tx.credentials.remove_totp(account_id)
    for passkey in passkeys:
        tx.credentials.remove_passkey(passkey.id)
    tx.credentials.replace_recovery_codes(account_id, ())
    ended = tx.sessions.end_all(account_id)
    tx.audit.append([
        act.entry(
            "second_factor.reset",
            subjects={"account": str(account_id)},
            detail={"totp": had_totp, "passkeys": len(passkeys), "sessions": ended},
        )
    ])  # fmt: skip
    return ended


def grant_entry(tx: AccessTransaction, act: AuditContext, kind: str, grant: Grant) -> AuditEntry:
    """Return the log entry of a grant: who granted which role to which account. A customer role is in its trail."""
    subjects = {"account": str(grant.account_id), "grant": str(grant.id)}
    if grant.customer_id is not None:
        subjects["customer"] = tx.customers.pseudonym(grant.customer_id)
    detail = {
        "role": grant.role.value,
        "starts_at": None if grant.starts_at is None else timestamp_text(grant.starts_at),
        "ends_at": None if grant.ends_at is None else timestamp_text(grant.ends_at),
    }
    return act.entry(kind, subjects=subjects, detail=detail)


def offer_membership(tx: AccessTransaction, act: AuditContext, offer: MembershipOffer) -> None:
    """Store an offer with its entry in the customer's trail."""
    tx.accounts.add_offer(offer)
    tx.audit.append([offer_entry(tx, act, "membership.offered", offer)])


def withdraw_offer(tx: AccessTransaction, act: AuditContext, offer: MembershipOffer) -> None:
    """Take an offer back before it is accepted."""
    tx.accounts.remove_offer(offer.id)
    tx.audit.append([offer_entry(tx, act, "membership.withdrawn", offer)])


def offer_entry(tx: AccessTransaction, act: AuditContext, kind: str, offer: MembershipOffer) -> AuditEntry:
    """Return the log entry of an offer."""
    subjects = {
        "account": str(offer.account_id),
        "grant": str(offer.id),
        "customer": tx.customers.pseudonym(offer.customer_id),
    }
    return act.entry(kind, subjects=subjects, detail={"role": offer.role.value})


def _account_entry(act: AuditContext, kind: str, account: Account, sessions_ended: int | None = None) -> AuditEntry:
    detail: dict[str, str | int | bool | list[str] | None] = {
        "kind": account.kind.value,
        "active": account.active,
        "version": account.version,
    }
    if sessions_ended is not None:
        detail["sessions_ended"] = sessions_ended
    return act.entry(
        kind,
        subjects={"account": str(account.id)},
        detail=detail,
        private={"name": account.name, "email": account.email, "language": account.language}
        | ({} if account.time_zone is None else {"time_zone": account.time_zone}),
    )


def _verify_not_oneself(act: AuditContext, account_id: UUID) -> None:
    if act.actor == f"account:{account_id}":
        raise StateConflictError("nobody changes their own roles: another administrator does")


def _is_last_administrator(tx: AccessTransaction, account_id: UUID) -> bool:
    return [holder.id for holder in tx.accounts.holders(Role.ADMINISTRATOR)] == [account_id]


def _faults(tx: AccessTransaction, account: Account, draft: GrantDraft) -> Sequence[Fault]:
    faults = []
    if draft.role in CUSTOMER_ROLES and draft.customer_id is None:
        faults.append(Fault("customer_id", f"{draft.role.value} is held at a customer: name it"))
    elif draft.customer_id is not None and draft.role not in CUSTOMER_ROLES | {Role.AUDITOR}:
        faults.append(Fault("customer_id", f"{draft.role.value} is held at the provider, at no customer"))
    elif draft.customer_id is not None and tx.customers.get(draft.customer_id) is None:
        faults.append(Fault("customer_id", "no such customer"))
    if draft.role is not Role.AUDITOR:
        stated = (("starts_at", draft.starts_at), ("ends_at", draft.ends_at))
        faults += [Fault(name, "only an auditor has a period") for name, moment in stated if moment is not None]
    elif draft.starts_at is not None and draft.ends_at is not None and draft.starts_at >= draft.ends_at:
        faults.append(Fault("ends_at", "must be after starts_at"))
    if account.kind is AccountKind.SERVICE and draft.role not in _ROLES_OF_SERVICES:
        known = ", ".join(sorted(role.value for role in _ROLES_OF_SERVICES))
        faults.append(Fault("role", f"a service account holds only {known}"))
    if account.kind is AccountKind.PERSON and draft.role is Role.SERVICE_ACCOUNT:
        faults.append(Fault("role", "service_account is no role of a person"))
    return faults
