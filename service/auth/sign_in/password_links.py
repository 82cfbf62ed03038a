"""Links that set a password: the invitation of a new account, and the reset of a lost password."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.sign_in.links import LinkVoidError, find_link, issue_link, new_link_secret, redeem_link
from service.auth.sign_in.passwords import password_fault
from service.auth.sign_in.sessions import Browser
from service.auth.sign_in.sign_in import SignInPart, normal_address
from service.ports.accounts import Account
from service.ports.credentials import Password
from service.ports.mails import ServiceMail
from service.ports.sessions import Throttle
from service.ports.store import AccessTransaction

_PURPOSES = frozenset({"invitation", "reset"})
_BETWEEN_RESETS = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class PasswordSet:
    """A link was used: the person can now sign in with the new password."""

    account: Account
    #: value of ``DEVICE_COOKIE``: the browser that opened the link counts as known
    device: str


class PasswordLinks(SignInPart):
    """Issues invitations and resets, and sets the password with either link."""

    def invite(self, tx: AccessTransaction, act: AuditContext, account: Account) -> str:
        """Issue an invitation in the caller's transaction and return its secret; earlier ones become invalid.

        Raises StateConflictError for an account without an address, or an inactive one.
        """
        return self._issued(tx, act, account, "invitation", self._settings.invitation_seconds)

    def reset(self, tx: AccessTransaction, act: AuditContext, account: Account) -> str:
        """Issue a reset link, like ``invite``; the old password stays valid until the link is used."""
        return self._issued(tx, act, account, "reset", self._settings.reset_seconds)

    def _issued(self, tx: AccessTransaction, act: AuditContext, account: Account, purpose: str, seconds: float) -> str:
        if account.email is None:
            raise StateConflictError("the account has no address to send a link to")
        if not account.active:
            raise StateConflictError("the account is not active")
        tx.sessions.drop_links(purpose, account.id)
        secret = new_link_secret()
        issue_link(
            tx, act, purpose=purpose, subject_id=account.id, binding=account.email, seconds=seconds, secret=secret
        )
        tx.audit.append([
            act.entry("link.issued", subjects={"account": str(account.id)}, detail={"purpose": purpose}),
        ])  # fmt: skip
        return secret

    async def request_reset(
        self, email: str, browser: Browser, mail: Callable[[AuditContext, Account, str], ServiceMail]
    ) -> None:
        """Queue the mail that ``mail`` makes from (act, account, secret), for a person who reports a lost password.

        The result is the same for every address. Each address gets at most one mail in 15 minutes. Raises
        TooManyRequestsError.
        """
        named = normal_address(email)
        await self._throttling.begin(self._throttling.of_thing("reset_requests", browser.address, 20))
        act = AuditContext("system:sign_in", self._clock.now(), self._identifiers)
        key = self._secret_box.mac("throttle", b"reset\n" + named.encode("utf-8", "surrogatepass"))

        def work(tx: AccessTransaction) -> None:
            throttle = tx.sessions.throttle(key)
            account = tx.accounts.by_email(named)
            if throttle is not None and act.now < throttle.retry_at:
                return
            tx.sessions.save_throttle(Throttle(key, 1, act.now, act.now + _BETWEEN_RESETS))
            if account is not None and account.active and account.email is not None:
                tx.mails.add(mail(act, account, self.reset(tx, act, account)))

        await self._store.write(work)

    async def account_of(self, secret: str) -> Account:
        """Return the account of a link without changing it; raises LinkVoidError."""
        now = self._clock.now()
        account, _ = await self._store.read(lambda tx: _found(tx, secret, now))
        return account

    async def accept(self, secret: str, password: str, browser: Browser) -> PasswordSet:
        """Set the password and use the link up; ends every session of the account, and its other links become invalid.

        Raises LinkVoidError, InvalidInputError (field ``password``; the link stays valid), TooManyRequestsError.
        """
        await self._throttling.begin(self._throttling.of_thing("links", browser.address, 50))
        account = await self.account_of(secret)
        fault = password_fault(password, account.email)
        if fault is not None:
            raise InvalidInputError(Fault("password", fault))
        hashed = await self.passwords.hash(password)
        act = AuditContext(f"account:{account.id}", self._clock.now(), self._identifiers)

        def work(tx: AccessTransaction) -> None:
            current, purpose = _found(tx, secret, act.now)
            redeem_link(tx, act, secret, purpose, binding_now=current.email)
            # The administrator who issued an invitation has its link too, and must not be able to set the password now.
            for other in _PURPOSES:
                tx.sessions.drop_links(other, current.id)
            tx.credentials.set_password(Password(current.id, hashed, act.now))
            ended = tx.sessions.end_all(current.id)
            tx.audit.append([
                act.entry(
                    "password.set",
                    subjects={"account": str(current.id)},
                    detail={"by": purpose, "sessions_ended": ended},
                )
            ])  # fmt: skip

        await self._store.write(work)
        return PasswordSet(account, self._throttling.new_device(account.id))


def _found(tx: AccessTransaction, secret: str, now: datetime) -> tuple[Account, str]:
    """Return the account and the purpose of a link; raises LinkVoidError, also if the address has changed."""
    link = find_link(tx, secret, _PURPOSES, now)
    account = tx.accounts.get(link.subject_id)
    if account is None or not account.active or account.email != link.binding:
        raise LinkVoidError
    return account, link.purpose
