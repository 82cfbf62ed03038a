"""What a person changes about how it signs in: password, generator, passkeys, recovery codes.

Each change replaces the session that makes it and ends all others of the account.
"""

from dataclasses import dataclass, field
from uuid import UUID

from notifications.ports import Clock, Identifiers
from service.access.caller import Caller
from service.access.ports import AccessStore
from service.access.records import Passkey, RecoveryCode, Totp
from service.access.secret_box import SecretBox
from service.access.sessions import Browser, SignedIn
from service.access.sign_in import SignInSettings


@dataclass(frozen=True, slots=True)
class OwnCredentialsView:
    """How an account can sign in, for its own page."""

    has_password: bool
    totp: Totp | None
    passkeys: tuple[Passkey, ...]
    #: unused ones
    recovery_codes: tuple[RecoveryCode, ...]


@dataclass(frozen=True, slots=True)
class TotpEnrolment:
    """What a generator application is given; shown once."""

    #: ``otpauth://totp/…``, for a QR code
    uri: str = field(repr=False)
    #: the same seed in base32, to be typed
    secret: str = field(repr=False)


class OwnCredentials:
    """The credentials of whoever is signed in.

    Every method but ``view`` raises ``sign_in.SignInAgainError`` for a caller by token, or by a session that is not
    fresh (``SignInSettings.fresh_seconds``). Those that return SignedIn give the browser a new session cookie.
    """

    def __init__(
        self, store: AccessStore, clock: Clock, identifiers: Identifiers, box: SecretBox, settings: SignInSettings
    ) -> None:
        self._store, self._clock, self._identifiers, self._box = store, clock, identifiers, box
        self._settings = settings

    async def view(self, caller: Caller) -> OwnCredentialsView:
        """Return how the caller can sign in."""
        raise NotImplementedError

    async def change_password(self, caller: Caller, old: str, new: str, browser: Browser) -> SignedIn:
        """Change the password; raises InvalidInputError (fields ``old``, ``new``), TooManyRequestsError."""
        raise NotImplementedError

    async def begin_totp(self, caller: Caller) -> TotpEnrolment:
        """Return a new seed; it counts, and replaces the one before, when ``confirm_totp`` is given a code of it."""
        raise NotImplementedError

    async def confirm_totp(self, caller: Caller, code: str, browser: Browser) -> SignedIn:
        """Enrol the generator begun; raises InvalidInputError (field ``code``), StateConflictError if none is begun."""
        raise NotImplementedError

    async def remove_totp(self, caller: Caller, browser: Browser) -> SignedIn:
        """Forget the generator; raises StateConflictError where it is the last second factor and one is required."""
        raise NotImplementedError

    async def passkey_enrolment_options(self, caller: Caller) -> str:
        """Return the JSON for ``navigator.credentials.create``; the challenge is bound to the session."""
        raise NotImplementedError

    async def add_passkey(self, caller: Caller, credential_json: str, name: str, browser: Browser) -> SignedIn:
        """Add a passkey by the browser's answer.

        Raises InvalidInputError (fields ``credential``, ``name``), StateConflictError if none is begun or it is known.
        """
        raise NotImplementedError

    async def rename_passkey(self, caller: Caller, passkey_id: UUID, name: str) -> None:
        """Name a passkey; raises NotFoundError, InvalidInputError (field ``name``)."""
        raise NotImplementedError

    async def remove_passkey(self, caller: Caller, passkey_id: UUID, browser: Browser) -> SignedIn:
        """Forget a passkey; raises NotFoundError, StateConflictError as ``remove_totp``."""
        raise NotImplementedError

    async def new_recovery_codes(self, caller: Caller) -> list[str]:
        """Return ten new codes, shown once; those before count no more."""
        raise NotImplementedError
