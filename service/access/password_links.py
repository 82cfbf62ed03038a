"""Links that set a password: the invitation of a new account, and the reset of a lost password."""

from collections.abc import Callable
from dataclasses import dataclass

from notifications.ports import Clock, Identifiers
from notifications.use_cases.act import Act
from service.access.ports import AccessStore, AccessTransaction
from service.access.records import Account
from service.access.secret_box import SecretBox
from service.access.sessions import Browser
from service.access.sign_in import SignInSettings
from service.messages import ServiceMail


@dataclass(frozen=True, slots=True)
class PasswordSet:
    """A link was used: the person signs in next, with the password it just set."""

    account: Account
    #: value of ``DEVICE_COOKIE``: the browser that had the link counts as known
    device: str


class PasswordLinks:
    """Invites, resets, and sets the password at the end of either link."""

    def __init__(
        self, store: AccessStore, clock: Clock, identifiers: Identifiers, box: SecretBox, settings: SignInSettings
    ) -> None:
        self._store, self._clock, self._identifiers, self._box = store, clock, identifiers, box
        self._settings = settings

    def invite(self, tx: AccessTransaction, act: Act, account: Account) -> str:
        """Issue an invitation in the caller's transaction and return its secret; earlier ones are void.

        Raises StateConflictError for an account without an address, or an inactive one.
        """
        raise NotImplementedError

    def reset(self, tx: AccessTransaction, act: Act, account: Account) -> str:
        """Issue a reset, as ``invite``; the password goes on until the link is used."""
        raise NotImplementedError

    async def request_reset(
        self, email: str, browser: Browser, mail: Callable[[Act, Account, str], ServiceMail]
    ) -> None:
        """Queue the mail that ``mail`` makes of (act, account, secret) to a person that says it lost its password.

        Answers the same for whatever address; at most one mail in 15 minutes for each. Raises TooManyRequestsError.
        """
        raise NotImplementedError

    async def account_of(self, secret: str) -> Account:
        """Return whom a link is for, and change nothing; raises LinkVoidError."""
        raise NotImplementedError

    async def accept(self, secret: str, password: str, browser: Browser) -> PasswordSet:
        """Set the password and use the link up; ends every session of the account.

        Raises LinkVoidError, InvalidInputError (field ``password``; the link holds), TooManyRequestsError.
        """
        raise NotImplementedError
