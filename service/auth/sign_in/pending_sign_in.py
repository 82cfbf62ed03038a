"""Pending sign-ins: bound to one browser by a cookie; their data, such as a challenge, is stored encrypted."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from notifications.ports import Clock, Identifiers
from service.auth.authentication import session_digest
from service.crypto.secret_box import SecretBox
from service.ports.accounts import Account
from service.ports.sessions import PendingSignIn
from service.ports.store import AccessTransaction

_PURPOSE = "pending_sign_in"


class SignInOverError(Exception):
    """The pending sign-in is over: expired, used, ended by wrong codes, or of another browser. Start again."""

    def __init__(self) -> None:
        super().__init__("the sign-in took too long or was ended; start again")


class PendingSignIns:
    """Creates, finds and changes pending sign-ins, in the caller's transaction."""

    def __init__(self, clock: Clock, identifiers: Identifiers, secret_box: SecretBox, seconds: float) -> None:
        self._clock, self._identifiers, self._secret_box = clock, identifiers, secret_box
        self._seconds = seconds

    def begun(self, secret: str, purpose: str, account_id: UUID | None, data: Mapping[str, object]) -> PendingSignIn:
        """Return a new pending sign-in; ``secret`` is the value of its cookie, ``data`` is JSON."""
        identifier = self._identifiers.new_id()
        return PendingSignIn(
            id=identifier,
            digest=session_digest(secret),
            purpose=purpose,
            account_id=account_id,
            sealed_data=self._sealed(identifier, data),
            expires_at=self._clock.now() + timedelta(seconds=self._seconds),
        )

    def replace(self, tx: AccessTransaction, pending: PendingSignIn, data: Mapping[str, object]) -> None:
        """Put other data into one; its cookie and its end stay."""
        tx.sessions.remove_pending(pending.id)
        tx.sessions.add_pending(replace(pending, sealed_data=self._sealed(pending.id, data)))

    def data(self, pending: PendingSignIn) -> dict[str, Any]:
        """Return the data of a pending sign-in."""
        data: dict[str, Any] = json.loads(
            self._secret_box.open(pending.sealed_data, purpose=_PURPOSE, owner=str(pending.id))
        )
        return data

    def found(
        self, tx: AccessTransaction, secret: str, purposes: Collection[str]
    ) -> tuple[PendingSignIn, Account | None]:
        """Return one by its cookie, and its account, None where it has none; raises SignInOverError.

        One that rests on a password is over once the account has another one.
        """
        pending = tx.sessions.pending(session_digest(secret))
        if pending is None or pending.purpose not in purposes or self._clock.now() >= pending.expires_at:
            raise SignInOverError
        account = None if pending.account_id is None else tx.accounts.get(pending.account_id)
        if account is not None and not account.active:
            raise SignInOverError
        rests_on = self.data(pending).get("password_changed_at")
        if account is not None and rests_on is not None:
            password = tx.credentials.password(account.id)
            if password is None or password.changed_at.isoformat() != rests_on:
                raise SignInOverError
        return pending, account

    def _sealed(self, identifier: UUID, data: Mapping[str, object]) -> bytes:
        return self._secret_box.seal(json.dumps(dict(data)).encode(), purpose=_PURPOSE, owner=str(identifier))
