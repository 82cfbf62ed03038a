"""Credentials: what an account signs in with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Password:
    """The password of a local account."""

    account_id: UUID
    #: argon2id, in the PHC string format
    hash: str = field(repr=False)
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Totp:
    """A time-based one-time-password generator (RFC 6238)."""

    account_id: UUID
    #: the seed, encrypted by ``service.crypto.secret_box`` for this account
    sealed_seed: bytes = field(repr=False)
    created_at: datetime
    #: None until a code of it was given once
    confirmed_at: datetime | None
    #: the last time step a code was taken for: no code is taken twice
    last_step: int


@dataclass(frozen=True, slots=True)
class Passkey:
    """A WebAuthn credential."""

    id: UUID
    account_id: UUID
    credential_id: bytes
    #: COSE key
    public_key: bytes
    sign_count: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """A code for the day when no second factor is at hand; taken once."""

    account_id: UUID
    #: SHA-256 of the code; it has 80 random bits, so that a fast digest hides it
    digest: bytes = field(repr=False)
    created_at: datetime
    used_at: datetime | None


class CredentialRepository(Protocol):
    """Passwords, generators of one-time codes, passkeys and recovery codes."""

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

    def all_totps(self) -> Sequence[Totp]:
        """Return every generator."""
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
