"""Sessions, single-use links, pending sign-ins and throttles."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Session:
    """A person who signed in, in one browser."""

    id: UUID
    account_id: UUID
    #: SHA-256 of the cookie's value
    digest: bytes = field(repr=False)
    #: how the person signed in: ``password``, ``password+totp``, ``password+recovery_code``, ``passkey``, ``oidc``
    method: str
    #: as the browser named itself, shortened; what its owner tells sessions apart by
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    #: end, whatever happens
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """A single-use link that was handed or mailed to someone."""

    id: UUID
    #: ``invitation`` (set a first password or passkey), ``reset``, ``address`` (confirm a contact's address)
    purpose: str
    #: account or contact
    subject_id: UUID
    #: SHA-256 of the secret in the link
    digest: bytes = field(repr=False)
    #: what must be unchanged for the link to hold: the address it was sent to
    binding: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A pending sign-in: the first factor is given, or a challenge or an identity provider is being answered."""

    id: UUID
    #: SHA-256 of the cookie that binds it to one browser
    digest: bytes = field(repr=False)
    #: ``second_factor``, ``passkey``, ``passkey_enrolment`` or ``oidc``
    purpose: str
    #: None where the person is not known yet
    account_id: UUID | None
    #: state, nonce, code verifier or challenge, encrypted by ``service.crypto.secret_box``
    sealed_data: bytes = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Throttle:
    """How often something failed, and from when it may be tried again."""

    #: keyed digest of what is throttled: no address and no name in clear
    key: bytes
    failures: int
    last_failed_at: datetime
    retry_at: datetime


class SessionRepository(Protocol):
    """Sessions, single-use links, pending sign-ins and throttles."""

    def add(self, session: Session) -> None:
        """Store a new session."""
        ...

    def get(self, digest: bytes) -> Session | None:
        """Return the session of a cookie, expired or not."""
        ...

    def of_account(self, account_id: UUID) -> Sequence[Session]:
        """Return the sessions of an account."""
        ...

    def touch(self, session_id: UUID, at: datetime) -> None:
        """Record that the session was used; one that has ended changes nothing."""
        ...

    def end(self, session_id: UUID) -> None:
        """End a session; one that has ended changes nothing."""
        ...

    def end_all(self, account_id: UUID, *, but: UUID | None = None) -> int:
        """End every session of an account, but one if it is named; returns how many."""
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

    def add_pending(self, pending: PendingSignIn) -> None:
        """Store a pending sign-in."""
        ...

    def pending(self, digest: bytes) -> PendingSignIn | None:
        """Return a pending sign-in, expired or not."""
        ...

    def remove_pending(self, pending_id: UUID) -> bool:
        """End a pending sign-in; returns True to exactly one caller, which goes on with it."""
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

    def purge(self, now: datetime) -> int:
        """Delete expired sessions, links, pending sign-ins, and throttles a day after ``retry_at``; return how many."""
        ...
