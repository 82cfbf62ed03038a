"""Signing in with a password, a second factor or a passkey: from what a browser sends to a session."""

import contextlib
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit
from uuid import UUID

import idna
import structlog

from notifications.ports import Clock, Identifiers
from notifications.use_cases.audit_context import AuditContext
from service.auth.sign_in.passkeys import (
    PasskeyRefusedError,
    answered_credential,
    new_challenge,
    sign_in_options,
    used,
    verified_count,
)
from service.auth.sign_in.passwords import Passwords
from service.auth.sign_in.pending_sign_in import PendingSignIns, SignInOverError
from service.auth.sign_in.second_factors import is_generated, matching_step, recovery_digest
from service.auth.sign_in.sessions import Browser, SignedIn, begin_session, new_session_secret
from service.auth.sign_in.throttling import Throttling
from service.crypto.secret_box import SecretBox
from service.ports.accounts import Account, Passkey, Password, PendingSignIn
from service.ports.store import AccessStore, AccessTransaction

_log = structlog.get_logger(__name__)

#: Wrong codes with which a sign-in half way ends.
_WRONG_CODES = 5


class SignInRefusedError(Exception):
    """The sign-in is refused; one and the same answer for whatever reason, so that it tells nothing of accounts."""

    def __init__(self) -> None:
        super().__init__("the sign-in was refused")


class SignInAgainError(Exception):
    """Credentials change only in a session that signed in a short while ago; send the person to the sign-in page."""

    def __init__(self) -> None:
        super().__init__("sign in again before changing how you sign in")


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """What of signing in an installation may set."""

    #: where browsers reach the service, such as ``https://greffier.example``: WebAuthn signs it
    origin: str
    #: name of the service, as authenticators show it
    service_name: str = "Greffier"
    session_absolute_seconds: float = 12 * 3600
    #: how long a sign-in may stay half way
    pending_seconds: float = 600
    #: how old a sign-in may be for credentials to be changed
    fresh_seconds: float = 30 * 60
    invitation_seconds: float = 72 * 3600
    reset_seconds: float = 3600
    require_second_factor_at_provider: bool = True

    @property
    def rp_id(self) -> str:
        """The host that passkeys are bound to (WebAuthn level 2, 4: relying party identifier)."""
        return urlsplit(self.origin).hostname or ""


@dataclass(frozen=True, slots=True)
class SecondFactorWanted:
    """The password was right; a second factor is asked for."""

    #: value of ``PENDING_COOKIE``
    pending_secret: str = field(repr=False)
    #: whether a code of a generator can be given
    totp: bool
    #: whether a passkey can be used
    passkey: bool
    #: whether unused recovery codes are left
    recovery_code: bool


class SignIn:
    """Signs people in. Each method that can be guessed at is throttled: see ``throttling``."""

    def __init__(
        self, store: AccessStore, clock: Clock, identifiers: Identifiers, box: SecretBox, settings: SignInSettings
    ) -> None:
        self._store, self._clock, self._identifiers, self._box = store, clock, identifiers, box
        self._settings = settings
        self._throttling = Throttling(store, clock, box)
        self._half_way = PendingSignIns(clock, identifiers, box, settings.pending_seconds)
        #: shared by whoever hashes in this process, so that memory is bounded
        self.passwords = Passwords()

    async def with_password(self, email: str, password: str, browser: Browser) -> SignedIn | SecondFactorWanted:
        """Sign in by address and password; raises SignInRefusedError, TooManyRequestsError.

        1. The attempt is counted: for the account in a browser known to it; in any other, for the account in all of
           those, and for the network address.
        2. The password is compared, with a hash of nobody's where there is none: every refusal takes the same work.
        3. A second factor is asked for where there is one; else the session starts.
        """
        named = normal_address(email)
        account, stored = await self._store.read(lambda tx: _by_email(tx, named))
        # 1.
        counted = self._throttling.of_guesses("account", named, None if account is None else account.id, browser)
        begins_to_wait = await self._throttling.begin(*counted)
        # 2.
        fits = await self.passwords.fits(password, None if stored is None else stored.hash)
        if not fits or account is None or not account.active or stored is None:
            _log.warning("sign_in.refused", method="password", known_device=bool(browser.device))
            if begins_to_wait:
                await self._say_throttled(account, browser)
            raise SignInRefusedError
        await self._throttling.succeeded(*counted)
        renewed = await self.passwords.hash(password) if self.passwords.is_outdated(stored.hash) else stored.hash
        # 3.
        return await self._past_password(account, stored, renewed, browser)

    async def _past_password(
        self, account: Account, stored: Password, renewed: str, browser: Browser
    ) -> SignedIn | SecondFactorWanted:
        """Ask for the second factor or start the session; raises SignInRefusedError where the password has changed.

        It is compared outside the transaction. What a reset ended meanwhile must not begin again by the old password,
        nor may a hash made anew put the old one back.
        """
        secret, device = new_session_secret(), self._throttling.new_device(account.id)
        pending = self._half_way.begun(secret, "second_factor", account.id, {"wrong": 0})
        act = self._act(account)

        def work(tx: AccessTransaction) -> SignedIn | SecondFactorWanted | None:
            current, password = tx.account(account.id), tx.password(account.id)
            if current is None or not current.active or password != stored:
                return None
            if renewed != stored.hash:
                tx.set_password(replace(stored, hash=renewed))
            totp, passkeys = tx.totp(account.id), tx.passkeys(account.id)
            confirmed = totp is not None and totp.confirmed_at is not None
            if not confirmed and not passkeys:
                return self._begun(tx, act, current, "password", browser, secret, device)
            codes = any(code.used_at is None for code in tx.recovery_codes(account.id))
            tx.add_pending_sign_in(pending)
            return SecondFactorWanted(secret, confirmed, bool(passkeys), codes)

        result = await self._store.write(work)
        if result is None:
            _log.warning("sign_in.refused", method="password", reason="changed_meanwhile")
            raise SignInRefusedError
        return result

    async def with_code(self, pending_secret: str, code: str, browser: Browser) -> SignedIn:
        """Go on with a code of a generator (six digits) or a recovery code.

        Raises SignInRefusedError (wrong, may be tried again), SignInOverError, TooManyRequestsError.

        1. The sign-in half way is of this browser and not over.
        2. The attempt is counted for the account's codes, for this browser alone where it is known to the account:
           somebody who has the password must not keep its owner from giving a code.
        3. The code is taken, once and for all, in the transaction that ends the sign-in half way.
        4. A wrong one is counted on the sign-in half way, which ends with the fifth.
        """
        # 1.
        _, account = await self._store.read(lambda tx: self._half_way.found(tx, pending_secret, {"second_factor"}))
        if account is None:
            raise SignInOverError
        # 2.
        counted = self._throttling.of_guesses("codes", str(account.id), account.id, browser)
        begins_to_wait = await self._throttling.begin(*counted)
        secret, device = new_session_secret(), self._throttling.new_device(account.id)
        act = self._act(account)

        def work(tx: AccessTransaction) -> SignedIn | None:
            current, _ = self._half_way.found(tx, pending_secret, {"second_factor"})
            # 3.
            method = self._taken(tx, act, account, code)
            if method is not None:
                if not tx.remove_pending_sign_in(current.id):
                    raise SignInOverError
                return self._begun(tx, act, account, method, browser, secret, device)
            # 4.
            data = self._half_way.data(current)
            wrong = int(data.get("wrong", 0)) + 1
            if wrong < _WRONG_CODES:
                self._half_way.replace(tx, current, data | {"wrong": wrong})
            else:
                tx.remove_pending_sign_in(current.id)
            return None

        signed_in = await self._store.write(work)
        if signed_in is None:
            _log.warning("sign_in.refused", method="code")
            if begins_to_wait:
                await self._say_throttled(account, browser)
            raise SignInRefusedError
        await self._throttling.succeeded(*counted)
        return signed_in

    def _taken(self, tx: AccessTransaction, act: AuditContext, account: Account, code: str) -> str | None:
        """Use a code up and return the method that it completes, or None for a wrong one."""
        if is_generated(code):
            totp = tx.totp(account.id)
            if totp is None or totp.confirmed_at is None:
                return None
            seed = self._box.open(totp.sealed_seed, purpose="totp", owner=str(account.id))
            step = matching_step(seed, code, act.now, totp.last_step)
            if step is None:
                return None
            tx.set_totp(replace(totp, last_step=step))
            return "password+totp"
        if not tx.use_recovery_code(account.id, recovery_digest(code), act.now):
            return None
        tx.append_audit([act.entry("recovery_code.used", subjects={"account": str(account.id)})])
        return "password+recovery_code"

    async def passkey_options(self, browser: Browser, pending_secret: str | None = None) -> tuple[str, str]:
        """Return the JSON for ``navigator.credentials.get`` and the value of ``PENDING_COOKIE`` that goes with it.

        With the secret of a sign-in half way, the passkey is its second factor; without, the passkey is all.
        Raises SignInOverError, TooManyRequestsError.
        """
        challenge = new_challenge()
        stated = {"challenge": challenge.hex()}
        if pending_secret is None:
            await self._throttling.begin(self._throttling.of_thing("passkey_options", browser.address, 100))
            secret = new_session_secret()
            begun = self._half_way.begun(secret, "passkey", None, stated)
            await self._store.write(lambda tx: tx.add_pending_sign_in(begun))
            return sign_in_options((), challenge, rp_id=self._settings.rp_id), secret

        def work(tx: AccessTransaction) -> list[Passkey]:
            current, account = self._half_way.found(tx, pending_secret, {"second_factor"})
            if account is None:
                raise SignInOverError
            self._half_way.replace(tx, current, self._half_way.data(current) | stated)
            return list(tx.passkeys(account.id))

        known = await self._store.write(work)
        return sign_in_options(known, challenge, rp_id=self._settings.rp_id), pending_secret

    async def with_passkey(self, pending_secret: str, credential_json: str, browser: Browser) -> SignedIn:
        """Sign in by the browser's answer; the challenge is used up. Raises SignInRefusedError, SignInOverError.

        1. The challenge is taken from the sign-in half way, whatever comes of it.
        2. The passkey is known, its account active and the one that the sign-in is of, where it is of one.
        3. The answer proves the passkey; its counter is kept, and the session starts.
        """
        # 1.
        pending, challenge = await self._store.write(lambda tx: self._challenge(tx, pending_secret))
        try:
            passkey, account, count = await self._proven(pending, challenge, credential_json)
        except PasskeyRefusedError as error:
            _log.warning("sign_in.refused", method="passkey", reason=error.reason)
            raise SignInRefusedError from None
        method = "passkey" if pending.account_id is None else "password+passkey"
        secret, device = new_session_secret(), self._throttling.new_device(account.id)
        act = self._act(account)

        def work(tx: AccessTransaction) -> SignedIn | None:
            current, known = tx.account(account.id), tx.passkey(passkey.credential_id)
            if current is None or not current.active or known is None or known.sign_count != passkey.sign_count:
                return None
            if pending.purpose == "second_factor" and not tx.remove_pending_sign_in(pending.id):
                raise SignInOverError
            tx.save_passkey(used(known, count, act.now))
            return self._begun(tx, act, current, method, browser, secret, device)

        signed_in = await self._store.write(work)
        if signed_in is None:
            _log.warning("sign_in.refused", method="passkey", reason="changed_meanwhile")
            raise SignInRefusedError
        return signed_in

    async def _proven(
        self, pending: PendingSignIn, challenge: bytes, credential_json: str
    ) -> tuple[Passkey, Account, int]:
        # 2.
        credential_id, handle = answered_credential(credential_json)
        passkey, account = await self._store.read(lambda tx: _by_credential(tx, credential_id))
        if passkey is None or account is None or not account.active:
            raise PasskeyRefusedError("unknown_passkey")
        # WebAuthn level 2, 7.2, step 6: whoever was not known before is named by the answer.
        allowed = {account.id.bytes} if pending.account_id is None else {None, account.id.bytes}
        if pending.account_id not in {None, account.id} or handle not in allowed:
            raise PasskeyRefusedError("another_account")
        # 3.
        of_service = {"rp_id": self._settings.rp_id, "origin": self._settings.origin}
        return passkey, account, verified_count(credential_json, challenge, passkey, **of_service)

    def _challenge(self, tx: AccessTransaction, secret: str) -> tuple[PendingSignIn, bytes]:
        pending, _ = self._half_way.found(tx, secret, {"passkey", "second_factor"})
        data = self._half_way.data(pending)
        challenge = data.pop("challenge", None)
        if pending.purpose == "second_factor":
            # A code may still be given.
            self._half_way.replace(tx, pending, data)
        else:
            tx.remove_pending_sign_in(pending.id)
        if not isinstance(challenge, str):
            raise SignInOverError
        return pending, bytes.fromhex(challenge)

    async def start_session(self, account: Account, method: str, browser: Browser) -> SignedIn:
        """Start a session of an account that has proven itself elsewhere (``oidc``).

        Raises SignInRefusedError where it is not active.
        """
        act, secret = self._act(account), new_session_secret()
        device = self._throttling.new_device(account.id)

        def work(tx: AccessTransaction) -> SignedIn | None:
            current = tx.account(account.id)
            if current is None or not current.active:
                return None
            return self._begun(tx, act, current, method, browser, secret, device)

        signed_in = await self._store.write(work)
        if signed_in is None:
            raise SignInRefusedError
        return signed_in

    async def sign_out(self, account_id: UUID, session_id: UUID) -> None:
        """End a session of an account; one that is not its own, or has ended, changes nothing."""
        act = AuditContext(f"account:{account_id}", self._clock.now(), self._identifiers)

        def work(tx: AccessTransaction) -> None:
            if any(session.id == session_id for session in tx.sessions(account_id)):
                tx.end_session(session_id)
                subjects = {"account": str(account_id), "session": str(session_id)}
                tx.append_audit([act.entry("session.ended", subjects=subjects)])

        await self._store.write(work)

    async def sign_out_everywhere(self, account_id: UUID, *, but: UUID | None = None) -> int:
        """End every session of an account, but one if it is named; returns how many."""
        act = AuditContext(f"account:{account_id}", self._clock.now(), self._identifiers)

        def work(tx: AccessTransaction) -> int:
            ended = tx.end_sessions(account_id, but=but)
            if ended:
                subjects = {"account": str(account_id)}
                tx.append_audit([act.entry("sessions.ended", subjects=subjects, detail={"count": ended})])
            return ended

        return await self._store.write(work)

    def _begun(
        self,
        tx: AccessTransaction,
        act: AuditContext,
        account: Account,
        method: str,
        browser: Browser,
        secret: str,
        device: str,
    ) -> SignedIn:
        return begin_session(
            tx,
            act,
            account,
            method,
            browser,
            secret=secret,
            device=device,
            absolute_seconds=self._settings.session_absolute_seconds,
            second_factor_required=self._settings.require_second_factor_at_provider,
        )

    def _act(self, account: Account) -> AuditContext:
        return AuditContext(f"account:{account.id}", self._clock.now(), self._identifiers)

    async def _say_throttled(self, account: Account | None, browser: Browser) -> None:
        """Record that a back-off begins; of an account that does not exist there is nothing to record."""
        _log.warning("sign_in.throttled", known_account=account is not None)
        if account is not None:
            act, known = self._act(account), self._throttling.is_known(account.id, browser.device)
            entry = replace(act, actor="system:sign_in").entry(
                "sign_in.throttled", subjects={"account": str(account.id)}, detail={"known_device": known}
            )
            await self._store.write(lambda tx: tx.append_audit([entry]))


def normal_address(email: str) -> str:
    """Return an address as accounts keep it, as far as it is one: in lower case, its domain in U-labels."""
    local_part, at, domain = email.strip().casefold()[:320].encode("utf-8", "replace").decode().rpartition("@")
    if "xn--" in domain:
        with contextlib.suppress(idna.IDNAError):
            domain = idna.decode(domain)
    return f"{local_part}{at}{domain}"


def _by_email(tx: AccessTransaction, email: str) -> tuple[Account | None, Password | None]:
    account = tx.account_by_email(email)
    return account, None if account is None else tx.password(account.id)


def _by_credential(tx: AccessTransaction, credential_id: bytes) -> tuple[Passkey | None, Account | None]:
    passkey = tx.passkey(credential_id)
    return passkey, None if passkey is None else tx.account(passkey.account_id)
