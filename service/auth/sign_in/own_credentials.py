"""Changes of a person's own credentials: password, generator, passkeys, recovery codes.

Each change replaces the current session and ends all other sessions of the account.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from uuid import UUID

import structlog

from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.authentication import session_digest
from service.auth.caller import Caller, must_enrol
from service.auth.sign_in.passkeys import PasskeyRefusedError, enrolment_options, new_challenge, verified_enrolment
from service.auth.sign_in.passwords import password_fault
from service.auth.sign_in.pending_sign_in import SignInOverError
from service.auth.sign_in.second_factors import (
    matching_step,
    new_recovery_codes,
    new_seed,
    otpauth_uri,
    recovery_digest,
    seed_text,
)
from service.auth.sign_in.sessions import Browser, SignedIn, begin_session, new_session_secret
from service.auth.sign_in.sign_in import SignInAgainError, SignInPart
from service.ports.accounts import Account
from service.ports.credentials import Passkey, Password, RecoveryCode, Totp
from service.ports.sessions import PendingSignIn, Session
from service.ports.store import AccessTransaction

_log = structlog.get_logger(__name__)

_NAME_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class _Own:
    """The person who changes their credentials, and the current session."""

    account: Account
    session: Session


@dataclass(frozen=True, slots=True)
class OwnCredentialsView:
    """The credentials of an account, for its own page."""

    has_password: bool
    totp: Totp | None
    passkeys: tuple[Passkey, ...]
    #: unused codes
    recovery_codes: tuple[RecoveryCode, ...]


@dataclass(frozen=True, slots=True)
class TotpEnrolment:
    """The data for an authenticator application; shown once."""

    #: ``otpauth://totp/…``, for a QR code
    uri: str = field(repr=False)
    #: the same seed in base32, to be typed
    secret: str = field(repr=False)


class OwnCredentials(SignInPart):
    """The credentials of the signed-in person.

    Every method except ``view`` raises ``sign_in.SignInAgainError`` for a caller with a token, or with a session that
    is not fresh (``SignInSettings.fresh_seconds``). Methods that return SignedIn give the browser a new session cookie.
    """

    async def view(self, caller: Caller) -> OwnCredentialsView:
        """Return how the caller can sign in."""

        def work(tx: AccessTransaction) -> OwnCredentialsView:
            totp = tx.credentials.totp(caller.account_id)
            return OwnCredentialsView(
                has_password=tx.credentials.password(caller.account_id) is not None,
                totp=totp if totp is not None and totp.confirmed_at is not None else None,
                passkeys=tuple(tx.credentials.passkeys(caller.account_id)),
                recovery_codes=tuple(
                    code for code in tx.credentials.recovery_codes(caller.account_id) if code.used_at is None
                ),
            )

        return await self._store.read(work)

    async def change_password(self, caller: Caller, old: str, new: str, browser: Browser) -> SignedIn:
        """Change the password; raises InvalidInputError (fields ``old``, ``new``), TooManyRequestsError."""
        account, stored = await self._store.read(
            lambda tx: (self._own(tx, caller).account, tx.credentials.password(caller.account_id))
        )
        attempts = self._throttling.of_thing("own_password", str(caller.account_id), 5)
        await self._throttling.begin(attempts)
        if not await self.passwords.fits(old, None if stored is None else stored.hash):
            raise InvalidInputError(Fault("old", "is not the password"))
        await self._throttling.succeeded(attempts)
        fault = password_fault(new, account.email)
        if fault is not None:
            raise InvalidInputError(Fault("new", fault))
        hashed = await self.passwords.hash(new)

        def work(tx: AccessTransaction, act: AuditContext) -> None:
            tx.credentials.set_password(Password(caller.account_id, hashed, act.now))

        return await self._changed(caller, browser, "password.changed", work)

    async def begin_totp(self, caller: Caller) -> TotpEnrolment:
        """Return a new seed; it replaces the previous one when ``confirm_totp`` gets a code of it."""
        seed, now = new_seed(), self._clock.now()
        key = _enrolment_key("totp", caller)
        begun = self._pending_sign_ins.begun(key, "totp_enrolment", caller.account_id, {"seed": seed.hex()})

        def work(tx: AccessTransaction) -> Account:
            own = self._own(tx, caller)
            self._forget_enrolment(tx, key)
            tx.sessions.purge(now)
            tx.sessions.add_pending(begun)
            return own.account

        account = await self._store.write(work)
        named = account.email or account.name
        return TotpEnrolment(otpauth_uri(seed, named, self._settings.service_name), seed_text(seed))

    async def confirm_totp(self, caller: Caller, code: str, browser: Browser) -> SignedIn:
        """Enrol the new generator; raises InvalidInputError (field ``code``), StateConflictError without a new one."""
        key, typed = _enrolment_key("totp", caller), "".join(code.split())
        await self._throttling.begin(attempts := self._throttling.of_thing("enrolment", str(caller.account_id), 20))

        def work(tx: AccessTransaction, act: AuditContext) -> None:
            pending = self._enrolment(tx, key, "totp_enrolment")
            seed = bytes.fromhex(self._pending_sign_ins.data(pending)["seed"])
            step = matching_step(seed, typed, act.now, 0)
            if step is None:
                raise InvalidInputError(Fault("code", "is not the code of this moment"))
            tx.sessions.remove_pending(pending.id)
            sealed = self._secret_box.seal(seed, purpose="totp", owner=str(caller.account_id))
            tx.credentials.set_totp(Totp(caller.account_id, sealed, act.now, act.now, step))

        signed_in = await self._changed(caller, browser, "totp.enrolled", work, method="password+totp")
        await self._throttling.succeeded(attempts)
        return signed_in

    async def remove_totp(self, caller: Caller, browser: Browser) -> SignedIn:
        """Delete the generator; raises StateConflictError if it is the last second factor and one is required."""

        def work(tx: AccessTransaction, _act: AuditContext) -> None:
            self._verify_another_factor(tx, caller, bool(tx.credentials.passkeys(caller.account_id)))
            tx.credentials.remove_totp(caller.account_id)

        return await self._changed(caller, browser, "totp.removed", work)

    async def passkey_enrolment_options(self, caller: Caller) -> str:
        """Return the JSON for ``navigator.credentials.create``; the challenge is bound to the session."""
        challenge, key = new_challenge(), _enrolment_key("passkey", caller)
        begun = self._pending_sign_ins.begun(
            key, "passkey_enrolment", caller.account_id, {"challenge": challenge.hex()}
        )

        def work(tx: AccessTransaction) -> tuple[Account, list[Passkey]]:
            own = self._own(tx, caller)
            self._forget_enrolment(tx, key)
            tx.sessions.add_pending(begun)
            return own.account, list(tx.credentials.passkeys(caller.account_id))

        account, known = await self._store.write(work)
        return enrolment_options(
            account, known, challenge, rp_id=self._settings.rp_id, service_name=self._settings.service_name
        )

    async def add_passkey(self, caller: Caller, credential_json: str, name: str, browser: Browser) -> SignedIn:
        """Add a passkey from the browser's response.

        Raises InvalidInputError (fields ``credential``, ``name``), StateConflictError if no enrolment was begun or if
        the passkey exists.
        """
        named, key = _checked_name(name), _enrolment_key("passkey", caller)

        def taken(tx: AccessTransaction) -> bytes:
            self._own(tx, caller)
            pending = self._enrolment(tx, key, "passkey_enrolment")
            tx.sessions.remove_pending(pending.id)
            return bytes.fromhex(self._pending_sign_ins.data(pending)["challenge"])

        challenge = await self._store.write(taken)
        try:
            credential_id, public_key, count = verified_enrolment(
                credential_json, challenge, rp_id=self._settings.rp_id, origin=self._settings.origin
            )
        except PasskeyRefusedError as error:
            _log.warning("passkey.refused", reason=error.reason)
            raise InvalidInputError(Fault("credential", "is no new passkey of this site")) from None

        def work(tx: AccessTransaction, act: AuditContext) -> None:
            if tx.credentials.passkey(credential_id) is not None:
                raise StateConflictError("this passkey is known already")
            identifier = act.identifiers.new_id()
            tx.credentials.add_passkey(
                Passkey(identifier, caller.account_id, credential_id, public_key, count, named, act.now, None)
            )

        return await self._changed(caller, browser, "passkey.added", work, method="passkey")

    async def rename_passkey(self, caller: Caller, passkey_id: UUID, name: str) -> None:
        """Name a passkey; raises NotFoundError, InvalidInputError (field ``name``)."""
        named = _checked_name(name)

        def work(tx: AccessTransaction) -> None:
            self._own(tx, caller)
            tx.credentials.save_passkey(replace(_own_passkey(tx, caller, passkey_id), name=named))

        await self._store.write(work)

    async def remove_passkey(self, caller: Caller, passkey_id: UUID, browser: Browser) -> SignedIn:
        """Delete a passkey; raises NotFoundError, StateConflictError like ``remove_totp``."""

        def work(tx: AccessTransaction, _act: AuditContext) -> None:
            passkey = _own_passkey(tx, caller, passkey_id)
            totp = tx.credentials.totp(caller.account_id)
            others = len(tx.credentials.passkeys(caller.account_id)) > 1
            if tx.credentials.password(caller.account_id) is None and not others:
                raise StateConflictError("without a password the last passkey cannot be removed")
            self._verify_another_factor(tx, caller, others or (totp is not None and totp.confirmed_at is not None))
            tx.credentials.remove_passkey(passkey.id)

        return await self._changed(caller, browser, "passkey.removed", work)

    async def new_recovery_codes(self, caller: Caller) -> list[str]:
        """Return ten new codes, shown once; earlier codes become invalid."""
        codes = new_recovery_codes()
        act = AuditContext(caller.actor, self._clock.now(), self._identifiers)

        def work(tx: AccessTransaction) -> None:
            self._own(tx, caller)
            tx.credentials.replace_recovery_codes(
                caller.account_id,
                [RecoveryCode(caller.account_id, recovery_digest(code), act.now, None) for code in codes],
            )
            tx.audit.append([act.entry("recovery_codes.replaced", subjects={"account": str(caller.account_id)})])

        await self._store.write(work)
        return codes

    # -- what every change shares
    def _own(self, tx: AccessTransaction, caller: Caller) -> _Own:
        """Return the caller's account and session; raises SignInAgainError for a token or a session not fresh."""
        account = tx.accounts.get(caller.account_id)
        session = next(
            (item for item in tx.sessions.of_account(caller.account_id) if item.id == caller.session_id), None
        )
        if account is None or session is None:
            raise SignInAgainError
        if (self._clock.now() - session.created_at).total_seconds() > self._settings.fresh_seconds:
            raise SignInAgainError
        return _Own(account, session)

    async def _changed(
        self,
        caller: Caller,
        browser: Browser,
        kind: str,
        change: Callable[[AccessTransaction, AuditContext], None],
        *,
        method: str | None = None,
    ) -> SignedIn:
        """Make a change, end every session of the account and start a new one for the caller, in one transaction."""
        act = AuditContext(caller.actor, self._clock.now(), self._identifiers)
        secret, device = new_session_secret(), self._throttling.new_device(caller.account_id)

        def work(tx: AccessTransaction) -> SignedIn:
            own = self._own(tx, caller)
            change(tx, act)
            tx.audit.append([act.entry(kind, subjects={"account": str(caller.account_id)})])
            tx.sessions.end_all(caller.account_id)
            return begin_session(
                tx,
                act,
                own.account,
                method or own.session.method,
                browser,
                secret=secret,
                device=device,
                absolute_seconds=self._settings.session_absolute_seconds,
                second_factor_required=self._settings.require_second_factor_at_provider,
            )

        return await self._store.write(work)

    def _enrolment(self, tx: AccessTransaction, key: str, purpose: str) -> PendingSignIn:
        try:
            pending, _ = self._pending_sign_ins.found(tx, key, {purpose})
        except SignInOverError:
            raise StateConflictError("nothing was begun, or it took too long: begin again") from None
        return pending

    def _forget_enrolment(self, tx: AccessTransaction, key: str) -> None:
        pending = tx.sessions.pending(session_digest(key))
        if pending is not None:
            tx.sessions.remove_pending(pending.id)

    def _verify_another_factor(self, tx: AccessTransaction, caller: Caller, has_another: bool) -> None:
        """Raise StateConflictError if a second factor is required and no other is left."""
        required = self._settings.require_second_factor_at_provider and must_enrol(
            "password", tuple(tx.accounts.grants(caller.account_id))
        )
        if required and not has_another:
            raise StateConflictError("a second factor is required at the provider: add another one first")


def _enrolment_key(what: str, caller: Caller) -> str:
    """Return the key of an enrolment: it is bound to the session and is never sent out."""
    return f"enrolment:{what}:{caller.session_id}"


def _own_passkey(tx: AccessTransaction, caller: Caller, passkey_id: UUID) -> Passkey:
    passkey = next((item for item in tx.credentials.passkeys(caller.account_id) if item.id == passkey_id), None)
    if passkey is None:
        raise NotFoundError("passkey", passkey_id)
    return passkey


def _checked_name(name: str) -> str:
    named = " ".join(name.split())
    if not named or len(named) > _NAME_CHARACTERS or not named.isprintable():
        raise InvalidInputError(Fault("name", f"must be one line of at most {_NAME_CHARACTERS} characters"))
    return named
