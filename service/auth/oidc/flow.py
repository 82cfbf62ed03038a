"""Sign-in by an OpenID provider: authorization code flow with PKCE, state and nonce, from the click to the session.

OpenID Connect Core 1.0; RFC 7636 (PKCE), RFC 9207 (issuer in the callback), RFC 9700 (best current practice).
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import structlog

from notifications.ports import Clock, Identifiers
from notifications.use_cases.audit_context import AuditContext
from service.auth.oidc.accounts import admit
from service.auth.oidc.provider import OidcProvider, Tokens, verify_issuer_parameter
from service.auth.oidc.refusal import OidcRefusedError
from service.auth.oidc.token import ExpectedClaims, KeyUnknownError, verify_id_token
from service.auth.rate_limits import RateLimiter
from service.auth.sign_in.sessions import Browser, SignedIn
from service.auth.sign_in.sign_in import SignIn, SignInRefusedError
from service.crypto.secret_box import SecretBox, SecretUnreadableError
from service.ports.accounts import Account
from service.ports.sessions import PendingSignIn
from service.ports.store import AccessStore, AccessTransaction
from service.settings.oidc import OidcSettings

_log = structlog.get_logger(__name__)

_PURPOSE = "oidc"
_MAX_PARAMETER_CHARACTERS = 4000
#: How long a person may take at the provider.
_PENDING = timedelta(minutes=10)
#: Sign-ins started, or callbacks given, by one network address.
_PER_SECOND, _AT_ONCE = 1, 60


@dataclass(frozen=True, slots=True)
class _Begun:
    """The encrypted data of a pending sign-in."""

    state: str
    nonce: str
    verifier: str
    return_to: str


class OidcSignIn:
    """Signs people in by one provider."""

    def __init__(
        self,
        store: AccessStore,
        clock: Clock,
        identifiers: Identifiers,
        secret_box: SecretBox,
        settings: OidcSettings,
        sign_in: SignIn,
        *,
        redirect_uri: str,
        default_language: str,
    ) -> None:
        """``redirect_uri`` is registered at the provider, compared there character by character.

        ``default_language`` is that of an account whose claims name none that there is. Raises InvalidInputError for
        settings by which no provider can be asked.
        """
        self._store, self._clock, self._identifiers, self._secret_box = store, clock, identifiers, secret_box
        self._settings, self._sign_in = settings, sign_in
        self._redirect_uri, self._default_language = redirect_uri, default_language
        self._provider = OidcProvider(settings, clock, redirect_uri)
        self._rate = RateLimiter(per_second=_PER_SECOND, burst=_AT_ONCE)

    async def aclose(self) -> None:
        """Close the connections to the provider."""
        await self._provider.aclose()

    async def begin(self, return_to: str, browser: Browser) -> tuple[str, str]:
        """Return the URL to send the browser to, and the value of ``PENDING_COOKIE`` that binds the callback to it.

        ``return_to`` is a path of this service; the caller has checked it. Raises OidcRefusedError,
        TooManyRequestsError.
        """
        now = self._clock.now()
        self._rate.take(browser.address, now)
        try:
            metadata = await self._provider.metadata()
        except OidcRefusedError as refusal:
            raise _logged(refusal) from None
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        begun = _Begun(state, nonce, verifier, return_to)
        secret, pending_id = secrets.token_urlsafe(32), self._identifiers.new_id()
        pending = PendingSignIn(
            id=pending_id,
            digest=_digest(secret),
            purpose=_PURPOSE,
            account_id=None,
            sealed_data=self._secret_box.seal(_packed(begun), purpose=_PURPOSE, owner=str(pending_id)),
            expires_at=now + _PENDING,
        )
        await self._store.write(lambda tx: tx.sessions.add_pending(pending))
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._settings.scopes,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": _challenge(begun.verifier),
            "code_challenge_method": "S256",
        }
        if self._settings.require_acr:
            asked["acr_values"] = " ".join(self._settings.require_acr)
        endpoint = metadata.authorization_endpoint
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}", secret

    async def finish(
        self, parameters: Sequence[tuple[str, str]], pending_secret: str, browser: Browser
    ) -> tuple[SignedIn, str]:
        """Return the session for a callback, and the path to continue with.

        1. Each parameter occurs once (RFC 6749, 3.1) and has a bounded length.
        2. Find the pending sign-in of this browser; it must not be expired, and must have this state. The callback of
           another browser does not use it up.
        3. Use the pending sign-in up, so that a second request with the same callback is refused.
        4. The callback must come from the right provider, and must not be an error.
        5. Exchange the code and verify the ID token; fetch the provider's keys again if its key is unknown.
        6. Map the claims to an account and its grants.
        7. Start a session.

        Raises OidcRefusedError, TooManyRequestsError. Each refusal is logged by its reason, without code or token.
        """
        self._rate.take(browser.address, self._clock.now())
        try:
            begun = await self._taken(_single(parameters), pending_secret)
            claims = await self._claims(dict(parameters), begun)
            account = await self._admitted(claims)
            # 7.
            signed_in = await self._sign_in.start_session(account, _PURPOSE, browser)
        except OidcRefusedError as refusal:
            raise _logged(refusal) from None
        except SignInRefusedError:
            raise _logged(OidcRefusedError("account_inactive")) from None
        return signed_in, begun.return_to

    async def _taken(self, given: dict[str, str], pending_secret: str) -> _Begun:
        # 2.
        pending = await self._store.read(lambda tx: tx.sessions.pending(_digest(pending_secret)))
        if pending is None or pending.purpose != _PURPOSE or self._clock.now() >= pending.expires_at:
            raise OidcRefusedError("callback_not_begun_here")
        found = pending.id
        try:
            begun = _unpacked(self._secret_box.open(pending.sealed_data, purpose=_PURPOSE, owner=str(found)))
        except SecretUnreadableError:
            raise OidcRefusedError("callback_not_begun_here") from None
        if not hmac.compare_digest(given.get("state", "").encode("utf-8", "replace"), begun.state.encode()):
            raise OidcRefusedError("callback_state")
        # 3.
        if not await self._store.write(lambda tx: _use_up(tx, found)):
            raise OidcRefusedError("callback_replayed")
        return begun

    async def _claims(self, given: dict[str, str], begun: _Begun) -> dict[str, Any]:
        # 4.
        metadata = await self._provider.metadata()
        verify_issuer_parameter(given.get("iss"), metadata, self._settings.issuer)
        if "error" in given:
            raise OidcRefusedError("denied" if given["error"] == "access_denied" else "provider_error")
        if not given.get("code"):
            raise OidcRefusedError("callback_without_code")
        # 5.
        return await self._verified(await self._provider.exchange(given["code"], begun.verifier), begun.nonce)

    async def _admitted(self, claims: dict[str, Any]) -> Account:
        # 6.
        act = AuditContext("system:oidc", self._clock.now(), self._identifiers)
        admission = await self._store.write(lambda tx: admit(tx, act, claims, self._settings, self._default_language))
        if admission.refusal is not None:
            raise OidcRefusedError(admission.refusal)
        return admission.account

    async def _verified(self, tokens: Tokens, nonce: str) -> dict[str, Any]:
        settings = self._settings
        expected = ExpectedClaims(
            issuer=settings.issuer,
            client_id=settings.client_id,
            nonce=nonce,
            access_token=tokens.access_token,
            skew_seconds=settings.clock_skew_seconds,
            require_acr=settings.require_acr,
            require_amr=settings.require_amr,
        )
        try:
            keys = await self._provider.keys()
            return verify_id_token(tokens.unverified_id_token, keys, expected, self._clock.now())
        except KeyUnknownError:
            keys = await self._provider.keys(again=True)
        try:
            return verify_id_token(tokens.unverified_id_token, keys, expected, self._clock.now())
        except KeyUnknownError:
            raise OidcRefusedError("token_key_unknown") from None


def _use_up(tx: AccessTransaction, pending_id: UUID) -> bool:
    return tx.sessions.remove_pending(pending_id)


def _logged(refusal: OidcRefusedError) -> OidcRefusedError:
    _log.warning("sign_in.refused", method=_PURPOSE, reason=refusal.reason)
    return refusal


def _single(parameters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters by name; raises OidcRefusedError for a duplicate or a far too long one."""
    given = dict(parameters)
    if len(given) != len(parameters) or any(len(value) > _MAX_PARAMETER_CHARACTERS for value in given.values()):
        raise OidcRefusedError("callback_malformed")
    return given


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _packed(begun: _Begun) -> bytes:
    return json.dumps([begun.state, begun.nonce, begun.verifier, begun.return_to]).encode()


def _unpacked(data: bytes) -> _Begun:
    return _Begun(*json.loads(data))
