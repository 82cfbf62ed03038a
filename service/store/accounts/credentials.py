"""Credentials of accounts: passwords, one-time codes, passkeys, recovery codes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.ports.credentials import Passkey, Password, RecoveryCode, Totp
from service.store.sql.encoding import to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text
from service.store.tables import PasskeyRow, PasswordRow, RecoveryCodeRow, TotpRow

_PASSWORDS, _TOTPS = FlatTable(Password, PasswordRow), FlatTable(Totp, TotpRow)
_PASSKEYS, _CODES = FlatTable(Passkey, PasskeyRow), FlatTable(RecoveryCode, RecoveryCodeRow)

_SET_PASSWORD, _SET_TOTP = _PASSWORDS.upsert("account_id"), _TOTPS.upsert("account_id")
_PASSWORD, _TOTP = _PASSWORDS.by("account_id"), _TOTPS.by("account_id")
_ALL_TOTPS = _TOTPS.by()
_REMOVE_TOTP = compiled_text("DELETE FROM totps WHERE account_id = :account_id", "account_id")
_OF_ACCOUNT, _BY_CREDENTIAL = _PASSKEYS.by("account_id", ordered=True), _PASSKEYS.by("credential_id")
_SAVE_PASSKEY = _PASSKEYS.update("sign_count", "name", "last_used_at")
_REMOVE_PASSKEY = compiled_text("DELETE FROM passkeys WHERE id = :id", "id")
_FORGET_CODES = compiled_text("DELETE FROM recovery_codes WHERE account_id = :account_id", "account_id")
_CODES_OF = _CODES.by("account_id", ordered=True)
_USE_CODE = compiled_text(
    "UPDATE recovery_codes SET used_at = :used_at"
    " WHERE account_id = :account_id AND digest = :digest AND used_at IS NULL",
    "used_at", "account_id", "digest",
)  # fmt: skip


class CredentialRecords(Records):
    """Implements ``service.ports.credentials.CredentialRepository``."""

    def set_password(self, password: Password) -> None:
        """Store or replace the password of an account."""
        self._session.execute(_SET_PASSWORD, _PASSWORDS.values(password))
        self._changed("access")

    def password(self, account_id: UUID) -> Password | None:
        """Return the password record."""
        row = self._session.one(_PASSWORD, (account_id.bytes,))
        return None if row is None else _PASSWORDS.record(row)

    def set_totp(self, totp: Totp) -> None:
        """Store or replace the generator of an account."""
        self._session.execute(_SET_TOTP, _TOTPS.values(totp))
        self._changed("access")

    def totp(self, account_id: UUID) -> Totp | None:
        """Return the generator."""
        row = self._session.one(_TOTP, (account_id.bytes,))
        return None if row is None else _TOTPS.record(row)

    def all_totps(self) -> Sequence[Totp]:
        """Return every generator; used to encrypt the seeds again when the master key is replaced."""
        return [_TOTPS.record(row) for row in self._session.all(_ALL_TOTPS)]

    def remove_totp(self, account_id: UUID) -> None:
        """Delete the generator."""
        self._session.execute(_REMOVE_TOTP, (account_id.bytes,))
        self._changed("access")

    def add_passkey(self, passkey: Passkey) -> None:
        """Store a passkey."""
        self._session.execute(_PASSKEYS.insert, _PASSKEYS.values(passkey))
        self._changed("access")

    def passkeys(self, account_id: UUID) -> Sequence[Passkey]:
        """Return the passkeys of an account."""
        return [_PASSKEYS.record(row) for row in self._session.all(_OF_ACCOUNT, (account_id.bytes,))]

    def passkey(self, credential_id: bytes) -> Passkey | None:
        """Return the passkey by its credential id."""
        row = self._session.one(_BY_CREDENTIAL, (credential_id,))
        return None if row is None else _PASSKEYS.record(row)

    def save_passkey(self, passkey: Passkey) -> None:
        """Replace counter, name and last use."""
        values = _PASSKEYS.some_values(passkey, "sign_count", "name", "last_used_at", "id")
        self._session.execute(_SAVE_PASSKEY, values)
        self._changed("access")

    def remove_passkey(self, passkey_id: UUID) -> None:
        """Delete a passkey."""
        self._session.execute(_REMOVE_PASSKEY, (passkey_id.bytes,))
        self._changed("access")

    def replace_recovery_codes(self, account_id: UUID, codes: Sequence[RecoveryCode]) -> None:
        """Replace all codes of the account by these."""
        self._session.execute(_FORGET_CODES, (account_id.bytes,))
        self._session.execute_many(_CODES.insert, [_CODES.values(code) for code in codes])
        self._changed("access")

    def recovery_codes(self, account_id: UUID) -> Sequence[RecoveryCode]:
        """Return the codes of an account, including used ones."""
        return [_CODES.record(row) for row in self._session.all(_CODES_OF, (account_id.bytes,))]

    def use_recovery_code(self, account_id: UUID, digest: bytes, at: datetime) -> bool:
        """Mark an unused code as used; returns whether there was one."""
        cursor = self._session.execute(_USE_CODE, (to_microseconds(at), account_id.bytes, digest))
        self._changed("access")
        return bool(cursor.rowcount)
