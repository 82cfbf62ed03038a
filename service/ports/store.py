"""What access needs of the store, beside ``notifications.ports``. Each docstring is a contract."""

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
    """One unit of work that also reaches accounts, credentials and the service's own messages.

    As in ``Transaction``: every ``add_*`` of a record whose identity exists raises StateConflictError, lookups return
    None where there is nothing, lists have a stable order (that of storing unless said otherwise). No audit entry is
    written here: whoever changes something appends its own.
    """

    # -- accounts
    def add_account(self, account: Account) -> None:
        """Store a new account; an address that another account has raises StateConflictError."""
        ...

    def account(self, account_id: UUID) -> Account | None:
        """Return the account."""
        ...

    def account_by_email(self, email: str) -> Account | None:
        """Return the account by its normalised address."""
        ...

    def save_account(self, account: Account, expected_version: int) -> None:
        """Replace the account; as ``save_incident`` for versions."""
        ...

    def accounts(self, page: Page) -> tuple[list[Account], str | None]:
        """Return accounts, oldest first."""
        ...

    # -- grants
    def add_grant(self, grant: Grant) -> None:
        """Store a grant; the same role of the same account at the same customer raises StateConflictError."""
        ...

    def remove_grant(self, grant_id: UUID) -> None:
        """Take a grant away; one that is gone already changes nothing."""
        ...

    def grants(self, account_id: UUID) -> Sequence[Grant]:
        """Return the grants of an account."""
        ...

    def grants_at(self, customer_id: UUID) -> Sequence[Grant]:
        """Return the grants held at a customer."""
        ...

    def holders(self, role: Role) -> Sequence[Account]:
        """Return the active accounts that hold a role anywhere, each once."""
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
        """Forget the generator."""
        ...

    def add_passkey(self, passkey: Passkey) -> None:
        """Store a passkey; a credential id that is known raises StateConflictError."""
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
        """Forget a passkey."""
        ...

    def replace_recovery_codes(self, account_id: UUID, codes: Sequence[RecoveryCode]) -> None:
        """Put these codes in the place of all that the account had."""
        ...

    def recovery_codes(self, account_id: UUID) -> Sequence[RecoveryCode]:
        """Return the codes of an account, used ones too."""
        ...

    def use_recovery_code(self, account_id: UUID, digest: bytes, at: datetime) -> bool:
        """Mark an unused code as used; returns whether there was one."""
        ...

    def add_external_identity(self, identity: ExternalIdentity) -> None:
        """Store how a provider knows an account; the same issuer and subject raise StateConflictError."""
        ...

    def external_identity(self, issuer: str, subject: str) -> ExternalIdentity | None:
        """Return whom a provider means."""
        ...

    def external_identities(self, account_id: UUID) -> Sequence[ExternalIdentity]:
        """Return how providers know an account."""
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
        """Record that the session was used; one that has ended changes nothing."""
        ...

    def end_session(self, session_id: UUID) -> None:
        """End a session; one that has ended changes nothing."""
        ...

    def end_sessions(self, account_id: UUID, *, but: UUID | None = None) -> int:
        """End every session of an account, but one if it is named; returns how many."""
        ...

    def add_token(self, token: ApiToken) -> None:
        """Store a token."""
        ...

    def token(self, digest: bytes) -> ApiToken | None:
        """Return the token by its digest, whatever its state."""
        ...

    def tokens(self, account_id: UUID) -> Sequence[ApiToken]:
        """Return the tokens of an account, revoked ones too."""
        ...

    def touch_token(self, token_id: UUID, at: datetime) -> None:
        """Record that the token was used."""
        ...

    def revoke_token(self, token_id: UUID, at: datetime) -> None:
        """Revoke a token; one that is revoked keeps its time."""
        ...

    def add_link(self, link: Link) -> None:
        """Store a single-use link."""
        ...

    def link(self, digest: bytes) -> Link | None:
        """Return the link, used or not."""
        ...

    def use_link(self, link_id: UUID, at: datetime) -> bool:
        """Mark a link as used; returns False where it was used before."""
        ...

    def drop_links(self, purpose: str, subject_id: UUID) -> None:
        """Forget the unused links of a purpose for an account or contact."""
        ...

    # -- signing in
    def add_pending_sign_in(self, pending: PendingSignIn) -> None:
        """Store a sign-in half way."""
        ...

    def pending_sign_in(self, digest: bytes) -> PendingSignIn | None:
        """Return a sign-in half way, expired or not."""
        ...

    def remove_pending_sign_in(self, pending_id: UUID) -> bool:
        """End a sign-in half way; returns False where somebody else has: whoever gets True goes on with it, alone."""
        ...

    def throttle(self, key: bytes) -> Throttle | None:
        """Return how often something failed."""
        ...

    def save_throttle(self, throttle: Throttle) -> None:
        """Store or replace it."""
        ...

    def clear_throttle(self, key: bytes) -> None:
        """Forget the failures."""
        ...

    def purge_access(self, now: datetime) -> int:
        """Delete sessions, links, sign-ins half way, and throttles a day after ``retry_at``; return how many."""
        ...

    # -- the service's own messages
    def add_service_mail(self, mail: ServiceMail) -> None:
        """Queue a mail."""
        ...

    def service_mail(self, mail_id: UUID) -> ServiceMail | None:
        """Return the mail."""
        ...

    def due_service_mails(self, now: datetime, limit: int) -> Sequence[ServiceMail]:
        """Return queued mails whose ``next_attempt_at`` (None: at once) has come, oldest first."""
        ...

    def troubled_service_mails(self, limit: int) -> Sequence[ServiceMail]:
        """Return mails that failed for good, or whose last attempt failed, oldest first."""
        ...

    def save_service_mail(self, mail: ServiceMail) -> None:
        """Replace words (blanked once they are of no use), state, attempts, next attempt and last error."""
        ...

    def add_alert(self, alert: Alert) -> bool:
        """Store an alert; returns False, and stores nothing, where its key was raised before."""
        ...

    def alert_by_key(self, key: str) -> Alert | None:
        """Return the alert by what it is about."""
        ...

    def unreleased_drafts(self, now: datetime, made_before: datetime, limit: int) -> Sequence[UnreleasedDrafts]:
        """Return drafts made before a moment of whose time, until they are due, half has gone; by deadline."""
        ...

    def next_draft_moment(self, now: datetime, lead: timedelta, grace: timedelta) -> datetime | None:
        """Return when a draft next ends its grace, is past half of its time, the lead before its end, or overdue."""
        ...

    def notices_held(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return released notices that are not sealed, by incident and reason.

        Those that something holds; and, with no reason, those due by ``near`` that were released before a moment.
        """
        ...

    def deliveries_late(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return deliveries made before a moment, due by ``near`` and still queued, by incident and deadline."""
        ...

    def failed_deliveries_to_alert(self, limit: int) -> Sequence[FailedDelivery]:
        """Return deliveries that failed for good without an alert ``delivery_failed:<id in hex>``."""
        ...

    def too_large_to_alert(self, limit: int) -> Sequence[UUID]:
        """Return notices with a ``Delivery.too_large_at`` without an alert ``delivery_too_large:<id in hex>``."""
        ...

    def unreachable_to_alert(self, made_before: datetime, limit: int) -> Sequence[UnreachableCustomer]:
        """Return customers made before a moment that have no active contact.

        Left out are those with an alert ``customer_unreachable:<id in hex>:<sum of their contacts' versions>``.
        """
        ...

    def failed_mails_to_alert(self, limit: int) -> Sequence[FailedMail]:
        """Return failed mails without an alert ``service_mail_failed:<id in hex>``."""
        ...

    def contacts_to_check(
        self, confirmed_before: datetime, checked_before: datetime, limit: int
    ) -> Sequence[ContactToCheck]:
        """Return active contacts, oldest first, whose address was confirmed before a moment and not checked since one.

        An address that nobody confirmed may be a stranger's: it is not among them.
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
        """Record who saw an alert first; one that was seen keeps that."""
        ...

    def recent_outcomes(self, since: datetime, limit: int) -> Mapping[tuple[ChannelKind, OutcomeKind], int]:
        """Return how many of the last ``limit`` attempts that ended after a moment came to what, by channel."""
        ...

    def store_figures(self, now: datetime) -> StoreFigures:
        """Return how the service fares, in numbers. Costs what is open, not what was ever done."""
        ...


class AccessStore(Protocol):
    """Runs work against the store; as ``notifications.ports.UnitOfWork``, with accounts in reach."""

    #: hooks after commit, given the kinds of things that changed; ``access`` stands for accounts, grants, sessions,
    #: tokens, ``messages`` for mails and alerts
    on_commit: list[Callable[[set[str]], None]]

    async def write(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run in a transaction; durable when it returns."""
        ...

    async def read(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run against one snapshot."""
        ...
