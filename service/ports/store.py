"""The store of accounts and messages, in addition to ``notifications.ports``. Each docstring is a contract."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from notifications.customer.records import Contact
from notifications.delivery.delivery import ChannelKind, OutcomeKind
from notifications.ports import Page
from notifications.use_cases.customers.erase_customer import ErasureTransaction
from service.ports.accounts import (
    Account,
    ApiToken,
    ExternalIdentity,
    Grant,
    Link,
    Passkey,
    Password,
    PendingSignIn,
    RecoveryCode,
    Role,
    Session,
    Throttle,
    Totp,
)
from service.ports.alerts_and_mail import (
    Alert,
    ContactToCheck,
    FailedDelivery,
    FailedMail,
    ServiceMail,
    UnreachableCustomer,
    UnreleasedDrafts,
    WaitingNotices,
)
from service.ports.figures import StoreFigures

ResultT = TypeVar("ResultT")


class AccessTransaction(ErasureTransaction, Protocol):
    """One unit of work that also has access to accounts, credentials and the service's own messages.

    As in ``Transaction``: every ``add_*`` raises StateConflictError if the identity exists; lookups return None if
    there is nothing; lists have a stable order (insertion order unless stated otherwise). These methods write no audit
    entry: the caller appends one for each change.
    """

    # -- accounts
    def add_account(self, account: Account) -> None:
        """Store a new account; raises StateConflictError if another account has the address."""
        ...

    def account(self, account_id: UUID) -> Account | None:
        """Return the account."""
        ...

    def account_by_email(self, email: str) -> Account | None:
        """Return the account by its normalised address."""
        ...

    def save_account(self, account: Account, expected_version: int) -> None:
        """Replace the account; ``expected_version`` works as in ``save_incident``."""
        ...

    def accounts(self, page: Page) -> tuple[list[Account], str | None]:
        """Return accounts, oldest first."""
        ...

    # -- grants
    def add_grant(self, grant: Grant) -> None:
        """Store a grant; raises StateConflictError if the account has this role for this customer already."""
        ...

    def remove_grant(self, grant_id: UUID) -> None:
        """Remove a grant; does nothing if it does not exist."""
        ...

    def grants(self, account_id: UUID) -> Sequence[Grant]:
        """Return the grants of an account."""
        ...

    def grants_at(self, customer_id: UUID) -> Sequence[Grant]:
        """Return the grants for a customer."""
        ...

    def holders(self, role: Role) -> Sequence[Account]:
        """Return the active accounts that have a role, at the provider or for any customer, each once."""
        ...

    # -- credentials
    def set_password(self, password: Password) -> None:
        """Store or replace the password of an account."""
        ...

    def password(self, account_id: UUID) -> Password | None:
        """Return the password record."""
        ...

    def set_totp(self, totp: Totp) -> None:
        """Store or replace the generator of an account."""
        ...

    def totp(self, account_id: UUID) -> Totp | None:
        """Return the generator."""
        ...

    def remove_totp(self, account_id: UUID) -> None:
        """Delete the generator."""
        ...

    def add_passkey(self, passkey: Passkey) -> None:
        """Store a passkey; raises StateConflictError if the credential id exists."""
        ...

    def passkeys(self, account_id: UUID) -> Sequence[Passkey]:
        """Return the passkeys of an account."""
        ...

    def passkey(self, credential_id: bytes) -> Passkey | None:
        """Return the passkey by its credential id."""
        ...

    def save_passkey(self, passkey: Passkey) -> None:
        """Replace counter, name and last use."""
        ...

    def remove_passkey(self, passkey_id: UUID) -> None:
        """Delete a passkey."""
        ...

    def replace_recovery_codes(self, account_id: UUID, codes: Sequence[RecoveryCode]) -> None:
        """Replace all codes of the account by these."""
        ...

    def recovery_codes(self, account_id: UUID) -> Sequence[RecoveryCode]:
        """Return the codes of an account, including used ones."""
        ...

    def use_recovery_code(self, account_id: UUID, digest: bytes, at: datetime) -> bool:
        """Mark an unused code as used; returns whether there was one."""
        ...

    def add_external_identity(self, identity: ExternalIdentity) -> None:
        """Store an external identity; raises StateConflictError if the issuer and subject exist."""
        ...

    def external_identity(self, issuer: str, subject: str) -> ExternalIdentity | None:
        """Return the external identity by issuer and subject."""
        ...

    def external_identities(self, account_id: UUID) -> Sequence[ExternalIdentity]:
        """Return the external identities of an account."""
        ...

    # -- sessions, tokens, links
    def add_session(self, session: Session) -> None:
        """Store a new session."""
        ...

    def session(self, digest: bytes) -> Session | None:
        """Return the session of a cookie, expired or not."""
        ...

    def sessions(self, account_id: UUID) -> Sequence[Session]:
        """Return the sessions of an account."""
        ...

    def touch_session(self, session_id: UUID, at: datetime) -> None:
        """Record that the session was used; does nothing if it has ended."""
        ...

    def end_session(self, session_id: UUID) -> None:
        """End a session; does nothing if it has ended."""
        ...

    def end_sessions(self, account_id: UUID, *, but: UUID | None = None) -> int:
        """End every session of an account except ``but``; returns how many."""
        ...

    def add_token(self, token: ApiToken) -> None:
        """Store a token."""
        ...

    def token(self, digest: bytes) -> ApiToken | None:
        """Return the token by its digest, in any state."""
        ...

    def tokens(self, account_id: UUID) -> Sequence[ApiToken]:
        """Return the tokens of an account, including revoked ones."""
        ...

    def touch_token(self, token_id: UUID, at: datetime) -> None:
        """Record that the token was used."""
        ...

    def revoke_token(self, token_id: UUID, at: datetime) -> None:
        """Revoke a token; a token that is already revoked keeps its time."""
        ...

    def add_link(self, link: Link) -> None:
        """Store a single-use link."""
        ...

    def link(self, digest: bytes) -> Link | None:
        """Return the link, used or not."""
        ...

    def use_link(self, link_id: UUID, at: datetime) -> bool:
        """Mark a link as used; returns False if it was used before."""
        ...

    def drop_links(self, purpose: str, subject_id: UUID) -> None:
        """Delete the unused links of a purpose for an account or contact."""
        ...

    # -- signing in
    def add_pending_sign_in(self, pending: PendingSignIn) -> None:
        """Store a pending sign-in."""
        ...

    def pending_sign_in(self, digest: bytes) -> PendingSignIn | None:
        """Return a pending sign-in, expired or not."""
        ...

    def remove_pending_sign_in(self, pending_id: UUID) -> bool:
        """Remove a pending sign-in; returns False if it is gone. So only one of two concurrent callers gets True."""
        ...

    def throttle(self, key: bytes) -> Throttle | None:
        """Return the throttle of a key."""
        ...

    def save_throttle(self, throttle: Throttle) -> None:
        """Store or replace a throttle."""
        ...

    def clear_throttle(self, key: bytes) -> None:
        """Delete the throttle of a key."""
        ...

    def purge_access(self, now: datetime) -> int:
        """Delete expired sessions, links, pending sign-ins, and throttles a day after ``retry_at``; return how many."""
        ...

    # -- the service's own messages
    def add_service_mail(self, mail: ServiceMail) -> None:
        """Queue a mail."""
        ...

    def service_mail(self, mail_id: UUID) -> ServiceMail | None:
        """Return the mail."""
        ...

    def due_service_mails(self, now: datetime, limit: int) -> Sequence[ServiceMail]:
        """Return queued mails whose ``next_attempt_at`` has passed (None: due at once), oldest first."""
        ...

    def troubled_service_mails(self, limit: int) -> Sequence[ServiceMail]:
        """Return mails that failed for good, or whose last attempt failed, oldest first."""
        ...

    def save_service_mail(self, mail: ServiceMail) -> None:
        """Replace text (empty once it is no longer needed), state, attempts, next attempt and last error."""
        ...

    def add_alert(self, alert: Alert) -> bool:
        """Store an alert; returns False and stores nothing if its key exists."""
        ...

    def alert_by_key(self, key: str) -> Alert | None:
        """Return the alert by its key."""
        ...

    def unreleased_drafts(self, now: datetime, made_before: datetime, limit: int) -> Sequence[UnreleasedDrafts]:
        """Return drafts made before ``made_before`` that are past half of the time to their deadline; by deadline."""
        ...

    def next_draft_moment(self, now: datetime, lead: timedelta, grace: timedelta) -> datetime | None:
        """Return the next time at which a draft ends its grace, reaches half of its time, its lead, or its deadline."""
        ...

    def notices_held(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return released notices that are not sealed, by incident and reason.

        These are notices with a hold reason, and notices without one that are due by ``near`` and were released before
        ``made_before``.
        """
        ...

    def deliveries_late(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return deliveries made before a moment, due by ``near`` and still queued, by incident and deadline."""
        ...

    def failed_deliveries_to_alert(self, limit: int) -> Sequence[FailedDelivery]:
        """Return deliveries that failed for good without an alert ``delivery_failed:<id in hex>``."""
        ...

    def unreachable_to_alert(self, made_before: datetime, limit: int) -> Sequence[UnreachableCustomer]:
        """Return customers created before a moment that have no active contact.

        Customers with an alert ``customer_unreachable:<id in hex>:<sum of their contacts' versions>`` are left out.
        """
        ...

    def failed_mails_to_alert(self, limit: int) -> Sequence[FailedMail]:
        """Return failed mails without an alert ``service_mail_failed:<id in hex>``."""
        ...

    def contacts_to_check(
        self, confirmed_before: datetime, checked_before: datetime, limit: int
    ) -> Sequence[ContactToCheck]:
        """Return active contacts, oldest first, confirmed before one moment and not checked since another.

        Unconfirmed addresses are left out, because they may belong to a stranger.
        """
        ...

    def contacts_with_certificate(self, page: Page) -> tuple[list[Contact], str | None]:
        """Return the active contacts that have a certificate, oldest first."""
        ...

    def customers_without_contact(self, limit: int) -> Sequence[UUID]:
        """Return customers that have no active contact, oldest first."""
        ...

    def alert(self, alert_id: UUID) -> Alert | None:
        """Return the alert."""
        ...

    def open_alerts(self, limit: int) -> Sequence[Alert]:
        """Return alerts that nobody has seen yet, oldest first."""
        ...

    def see_alert(self, alert_id: UUID, at: datetime, by: str) -> None:
        """Record who acknowledged an alert; if somebody did before, that record is kept."""
        ...

    def recent_outcomes(self, since: datetime, limit: int) -> Mapping[tuple[ChannelKind, OutcomeKind], int]:
        """Count the last ``limit`` attempts that ended after a moment, by channel and outcome."""
        ...

    def store_figures(self, now: datetime) -> StoreFigures:
        """Return the figures of the service. The cost depends on the open records, not on the whole history."""
        ...


class AccessStore(Protocol):
    """Runs work against the store, like ``notifications.ports.UnitOfWork`` but with ``AccessTransaction``."""

    #: hooks after commit; they get the kinds of things that changed. ``access`` means accounts, grants, sessions and
    #: tokens; ``messages`` means mails and alerts
    on_commit: list[Callable[[set[str]], None]]

    async def write(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run in a transaction; durable when it returns."""
        ...

    async def read(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run against one snapshot."""
        ...
