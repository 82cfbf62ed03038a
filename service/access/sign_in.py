"""Signing in with a password, a second factor or a passkey: from what a browser sends to a session."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID

from notifications.ports import Clock, Identifiers
from service.access.ports import AccessStore
from service.access.records import Account
from service.access.secret_box import SecretBox
from service.access.sessions import Browser, SignedIn


class SignInRefusedError(Exception):
    """The sign-in is refused; one and the same answer for whatever reason, so that it tells nothing of accounts."""

    def __init__(self) -> None:
        super().__init__("the sign-in was refused")


class SignInOverError(Exception):
    """The sign-in half way is over: expired, used, ended by too many wrong codes, or of another browser. Start again."""

    def __init__(self) -> None:
        super().__init__("the sign-in took too long or was ended; start again")


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

    async def with_password(self, email: str, password: str, browser: Browser) -> SignedIn | SecondFactorWanted:
        """Sign in by address and password; raises SignInRefusedError, TooManyRequestsError."""
        raise NotImplementedError

    async def with_code(self, pending_secret: str, code: str, browser: Browser) -> SignedIn:
        """Go on with a code of a generator (six digits) or a recovery code.

        Raises SignInRefusedError (wrong, may be tried again), SignInOverError, TooManyRequestsError.
        """
        raise NotImplementedError

    async def passkey_options(self, browser: Browser, pending_secret: str | None = None) -> tuple[str, str]:
        """Return the JSON for ``navigator.credentials.get`` and the value of ``PENDING_COOKIE`` that goes with it.

        With the secret of a sign-in half way, the passkey is its second factor; without, the passkey is all.
        Raises SignInOverError, TooManyRequestsError.
        """
        raise NotImplementedError

    async def with_passkey(self, pending_secret: str, credential_json: str, browser: Browser) -> SignedIn:
        """Sign in by the browser's answer; the challenge is used up. Raises SignInRefusedError, SignInOverError."""
        raise NotImplementedError

    async def start_session(self, account: Account, method: str, browser: Browser) -> SignedIn:
        """Start a session of an account that has proven itself elsewhere (``oidc``).

        Raises SignInRefusedError where it is not active.
        """
        raise NotImplementedError

    async def sign_out(self, account_id: UUID, session_id: UUID) -> None:
        """End a session of an account; one that is not its own, or has ended, changes nothing."""
        raise NotImplementedError

    async def sign_out_everywhere(self, account_id: UUID, *, but: UUID | None = None) -> int:
        """End every session of an account, but one if it is named; returns how many."""
        raise NotImplementedError
