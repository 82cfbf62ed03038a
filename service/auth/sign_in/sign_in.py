"""Sign-in with a password, a second factor or a passkey: from the browser's input to a session."""

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
from service.ports.accounts import Account
from service.ports.credentials import Passkey, Password
from service.ports.sessions import PendingSignIn
from service.ports.store import AccessStore, AccessTransaction

_log = structlog.get_logger(__name__)

#: Number of wrong codes that end a pending sign-in.
_WRONG_CODES = 5


class SignInRefusedError(Exception):
    """The sign-in is refused. The response is the same for every reason, so it reveals nothing about accounts."""

    def __init__(self) -> None:
        super().__init__("the sign-in was refused")


class SignInAgainError(Exception):
    """Credentials can only be changed shortly after a sign-in; send the person to the sign-in page."""

    def __init__(self) -> None:
        super().__init__("sign in again before changing how you sign in")


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """The settings of the sign-in."""

    #: origin of the service in browsers, such as ``https://greffier.example``; WebAuthn signs it
    origin: str
    #: name of the service that authenticators show
    service_name: str = "Greffier"
    session_absolute_seconds: float = 12 * 3600
    #: lifetime of a pending sign-in
    pending_seconds: float = 600
    #: time after a sign-in in which credentials may be changed
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
    """The password was right; a second factor is required."""

    #: value of ``PENDING_COOKIE``
    pending_secret: str = field(repr=False)
    #: whether a code of a generator can be given
    totp: bool
    #: whether a passkey can be used
    passkey: bool
    #: whether unused recovery codes are left
    recovery_code: bool


class SignInPart:
    """What signing in, a person's own credentials and the links that set a password have in common."""

    def __init__(
        self,
        store: AccessStore,
        clock: Clock,
        identifiers: Identifiers,
        secret_box: SecretBox,
        settings: SignInSettings,
    ) -> None:
        self._store, self._clock, self._identifiers, self._secret_box = store, clock, identifiers, secret_box
        self._settings = settings
        self._throttling = Throttling(store, clock, secret_box)
        self._pending_sign_ins = PendingSignIns(clock, identifiers, secret_box, settings.pending_seconds)
        #: hashes in threads that the whole process shares, so that memory is bounded
        self.passwords = Passwords()


class SignIn(SignInPart):
    """Signs people in. Each method that takes a guessable secret is throttled: see ``throttling``."""

    async def with_password(self, email: str, password: str, browser: Browser) -> SignedIn | SecondFactorWanted:
        """Sign in by address and password; raises SignInRefusedError, TooManyRequestsError.

        1. Count the attempt. In a browser known to the account, count it for the account and this browser. In another
           browser, count it for the account and all unknown browsers, and for the network address.
        2. Compare the password; if there is no hash, compare with a dummy hash, so that every refusal takes the same
           time.
        3. Ask for the second factor if there is one; otherwise start the session.
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
        """Ask for the second factor or start the session; raises SignInRefusedError if the password has changed.

        The password was compared outside this transaction. If it was reset in the meantime, the old password must not
        start a session, and a renewed hash of the old password must not be stored.
        """
        secret, device = new_session_secret(), self._throttling.new_device(account.id)
        rests_on = {"wrong": 0, "password_changed_at": stored.changed_at.isoformat()}
        pending = self._pending_sign_ins.begun(secret, "second_factor", account.id, rests_on)
        act = self._act(account)

        def work(tx: AccessTransaction) -> SignedIn | SecondFactorWanted | None:
            current, password = tx.accounts.get(account.id), tx.credentials.password(account.id)
            if current is None or not current.active or password != stored:
                return None
            if renewed != stored.hash:
                tx.credentials.set_password(replace(stored, hash=renewed))
            totp, passkeys = tx.credentials.totp(account.id), tx.credentials.passkeys(account.id)
            confirmed = totp is not None and totp.confirmed_at is not None
            if not confirmed and not passkeys:
                return self._begun(tx, act, current, "password", browser, secret, device)
            codes = any(code.used_at is None for code in tx.credentials.recovery_codes(account.id))
            tx.sessions.add_pending(pending)
            return SecondFactorWanted(secret, confirmed, bool(passkeys), codes)

        result = await self._store.write(work)
        if result is None:
            _log.warning("sign_in.refused", method="password", reason="changed_meanwhile")
            raise SignInRefusedError
        return result

    async def with_code(self, pending_secret: str, code: str, browser: Browser) -> SignedIn:
        """Continue with a code of a generator (six digits) or a recovery code.

        Raises SignInRefusedError (wrong, may be tried again), SignInOverError, TooManyRequestsError.

        1. Find the pending sign-in of this browser; it must not be over.
        2. Count the attempt for the account's codes. In a browser known to the account, count it only for this browser,
           so that an attacker who has the password cannot keep the owner from entering a code.
        3. Use the code up in the transaction that ends the pending sign-in.
        4. Count a wrong code on the pending sign-in, which ends with the fifth.
        """
        # 1.
        _, account = await self._store.read(
            lambda tx: self._pending_sign_ins.found(tx, pending_secret, {"second_factor"})
        )
        if account is None:
            raise SignInOverError
        # 2.
        counted = self._throttling.of_guesses("codes", str(account.id), account.id, browser)
        begins_to_wait = await self._throttling.begin(*counted)
        secret, device = new_session_secret(), self._throttling.new_device(account.id)
        act = self._act(account)

        def work(tx: AccessTransaction) -> SignedIn | None:
            current, _ = self._pending_sign_ins.found(tx, pending_secret, {"second_factor"})
            # 3.
            method = self._taken(tx, act, account, code)
            if method is not None:
                if not tx.sessions.remove_pending(current.id):
                    raise SignInOverError
                return self._begun(tx, act, account, method, browser, secret, device)
            # 4.
            data = self._pending_sign_ins.data(current)
            wrong = int(data.get("wrong", 0)) + 1
            if wrong < _WRONG_CODES:
                self._pending_sign_ins.replace(tx, current, data | {"wrong": wrong})
            else:
                tx.sessions.remove_pending(current.id)
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
            totp = tx.credentials.totp(account.id)
            if totp is None or totp.confirmed_at is None:
                return None
            seed = self._secret_box.open(totp.sealed_seed, purpose="totp", owner=str(account.id))
            step = matching_step(seed, code, act.now, totp.last_step)
            if step is None:
                return None
            tx.credentials.set_totp(replace(totp, last_step=step))
            return "password+totp"
        if not tx.credentials.use_recovery_code(account.id, recovery_digest(code), act.now):
            return None
        tx.audit.append([act.entry("recovery_code.used", subjects={"account": str(account.id)})])
        return "password+recovery_code"

    async def passkey_options(self, browser: Browser, pending_secret: str | None = None) -> tuple[str, str]:
        """Return the JSON for ``navigator.credentials.get`` and the matching value of ``PENDING_COOKIE``.

        With the secret of a pending sign-in, the passkey is its second factor; without it, the passkey is sufficient.
        Raises SignInOverError, TooManyRequestsError.
        """
        challenge = new_challenge()
        stated = {"challenge": challenge.hex()}
        if pending_secret is None:
            await self._throttling.begin(self._throttling.of_thing("passkey_options", browser.address, 100))
            secret = new_session_secret()
            begun = self._pending_sign_ins.begun(secret, "passkey", None, stated)
            await self._store.write(lambda tx: tx.sessions.add_pending(begun))
            return sign_in_options((), challenge, rp_id=self._settings.rp_id), secret

        def work(tx: AccessTransaction) -> list[Passkey]:
            current, account = self._pending_sign_ins.found(tx, pending_secret, {"second_factor"})
            if account is None:
                raise SignInOverError
            self._pending_sign_ins.replace(tx, current, self._pending_sign_ins.data(current) | stated)
            return list(tx.credentials.passkeys(account.id))

        known = await self._store.write(work)
        return sign_in_options(known, challenge, rp_id=self._settings.rp_id), pending_secret

    async def with_passkey(self, pending_secret: str, credential_json: str, browser: Browser) -> SignedIn:
        """Sign in with the browser's response; the challenge is used up. Raises SignInRefusedError, SignInOverError.

        1. Use up the challenge of the pending sign-in, even if the sign-in then fails.
        2. Find the passkey; its account must be active, and the account of the pending sign-in if that has one.
        3. Verify the response, store the passkey's counter, and start the session.
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
            current, known = tx.accounts.get(account.id), tx.credentials.passkey(passkey.credential_id)
            if current is None or not current.active or known is None or known.sign_count != passkey.sign_count:
                return None
            if pending.purpose == "second_factor" and not tx.sessions.remove_pending(pending.id):
                raise SignInOverError
            tx.credentials.save_passkey(used(known, count, act.now))
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
        # WebAuthn level 2, 7.2, step 6: if the user was not known before, the response must contain the user handle.
        allowed = {account.id.bytes} if pending.account_id is None else {None, account.id.bytes}
        if pending.account_id not in {None, account.id} or handle not in allowed:
            raise PasskeyRefusedError("another_account")
        # 3.
        of_service = {"rp_id": self._settings.rp_id, "origin": self._settings.origin}
        return passkey, account, verified_count(credential_json, challenge, passkey, **of_service)

    def _challenge(self, tx: AccessTransaction, secret: str) -> tuple[PendingSignIn, bytes]:
        pending, _ = self._pending_sign_ins.found(tx, secret, {"passkey", "second_factor"})
        data = self._pending_sign_ins.data(pending)
        challenge = data.pop("challenge", None)
        if pending.purpose == "second_factor":
            # The person may still enter a code.
            self._pending_sign_ins.replace(tx, pending, data)
        else:
            tx.sessions.remove_pending(pending.id)
        if not isinstance(challenge, str):
            raise SignInOverError
        return pending, bytes.fromhex(challenge)

    async def start_session(self, account: Account, method: str, browser: Browser) -> SignedIn:
        """Start a session of an account that was authenticated elsewhere (``oidc``).

        Raises SignInRefusedError if it is not active.
        """
        act, secret = self._act(account), new_session_secret()
        device = self._throttling.new_device(account.id)

        def work(tx: AccessTransaction) -> SignedIn | None:
            current = tx.accounts.get(account.id)
            if current is None or not current.active:
                return None
            return self._begun(tx, act, current, method, browser, secret, device)

        signed_in = await self._store.write(work)
        if signed_in is None:
            raise SignInRefusedError
        return signed_in

    async def sign_out(self, account_id: UUID, session_id: UUID) -> None:
        """End a session of an account; does nothing if the session has ended or belongs to another account."""
        act = AuditContext(f"account:{account_id}", self._clock.now(), self._identifiers)

        def work(tx: AccessTransaction) -> None:
            if any(session.id == session_id for session in tx.sessions.of_account(account_id)):
                tx.sessions.end(session_id)
                subjects = {"account": str(account_id), "session": str(session_id)}
                tx.audit.append([act.entry("session.ended", subjects=subjects)])

        await self._store.write(work)

    async def sign_out_everywhere(self, account_id: UUID, *, but: UUID | None = None) -> int:
        """End every session of an account except ``but``; return how many."""
        act = AuditContext(f"account:{account_id}", self._clock.now(), self._identifiers)

        def work(tx: AccessTransaction) -> int:
            ended = tx.sessions.end_all(account_id, but=but)
            if ended:
                subjects = {"account": str(account_id)}
                tx.audit.append([act.entry("sessions.ended", subjects=subjects, detail={"count": ended})])
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
        """Record that a back-off begins; nothing is recorded for an unknown account."""
        _log.warning("sign_in.throttled", known_account=account is not None)
        if account is not None:
            act, known = self._act(account), self._throttling.is_known(account.id, browser.device)
            entry = replace(act, actor="system:sign_in").entry(
                "sign_in.throttled", subjects={"account": str(account.id)}, detail={"known_device": known}
            )
            await self._store.write(lambda tx: tx.audit.append([entry]))


def normal_address(email: str) -> str:
    """Return an address as accounts keep it, as far as it is one: in lower case, its domain in U-labels."""
    local_part, at, domain = email.strip().lower()[:320].encode("utf-8", "replace").decode().rpartition("@")
    if "xn--" in domain:
        with contextlib.suppress(idna.IDNAError):
            domain = idna.decode(domain)
    return f"{local_part}{at}{domain}"


def _by_email(tx: AccessTransaction, email: str) -> tuple[Account | None, Password | None]:
    account = tx.accounts.by_email(email)
    return account, None if account is None else tx.credentials.password(account.id)


def _by_credential(tx: AccessTransaction, credential_id: bytes) -> tuple[Passkey | None, Account | None]:
    passkey = tx.credentials.passkey(credential_id)
    return passkey, None if passkey is None else tx.accounts.get(passkey.account_id)
