"""Find the caller of a request: by a bearer token, or by the session cookie together with a CSRF token."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NoReturn
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from starlette.datastructures import FormData
from starlette.requests import Request

from notifications.ports import Clock
from service.auth.caller import Caller, must_enrol
from service.auth.rate_limits import RateLimiter, counted_address
from service.auth.refusals import UnauthenticatedError
from service.auth.tokens import token_digest
from service.ports.accounts import CUSTOMER_ROLES, Grant
from service.ports.store import AccessStore, AccessTransaction
from service.settings.access import AccessSettings

_log = structlog.get_logger(__name__)

#: The ``__Host-`` prefix binds the cookie to this host, to the whole site and to TLS (RFC 6265bis, 4.1.3.2).
SESSION_COOKIE = "__Host-greffier"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Lifetime of a cached credential. A revocation in this process still takes effect at once.
_KEPT = timedelta(seconds=2)
#: Precision of the time of last use.
_TOUCHED_EVERY = timedelta(seconds=60)
_MAX_CREDENTIAL_CHARACTERS = 400
_MAX_KEPT = 10_000


class CsrfError(Exception):
    """The request has a session but no proof (CSRF token) that a page of this service sent it."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The cached data of a credential."""

    caller: Caller
    read_at: datetime
    expires_at: datetime
    touched_at: datetime


def csrf_token(session_secret: str) -> str:
    """Return the CSRF token of a session; only code that knows the cookie's value can compute it."""
    tag = hmac.digest(session_secret.encode(), b"greffier/csrf/v1", "sha256")
    return base64.urlsafe_b64encode(tag).rstrip(b"=").decode()


def session_digest(session_secret: str) -> bytes:
    """Return the digest of a session cookie that is stored."""
    return hashlib.sha256(session_secret.encode("utf-8", "surrogatepass")).digest()


def client_address(request: Request) -> str:
    """Return the network address that the client is counted by; behind a trusted proxy, of what the proxy states."""
    return counted_address(request.client.host if request.client is not None else "unknown")


class Authenticator:
    """Identifies callers. Caches credentials for a moment; any change of accounts or credentials clears the cache."""

    def __init__(self, store: AccessStore, clock: Clock, settings: AccessSettings | None = None) -> None:
        self._store, self._clock = store, clock
        self._settings = settings or AccessSettings()
        self._known: dict[bytes, _Known] = {}
        self._times_forgotten = 0
        self._of_callers = RateLimiter(
            per_second=self._settings.requests_per_second, burst=self._settings.requests_burst
        )
        self._of_strangers = RateLimiter(
            per_second=self._settings.stranger_requests_per_second, burst=self._settings.stranger_requests_burst
        )
        store.on_commit.append(self._forget)

    async def caller(self, request: Request) -> Caller:
        """Return the caller.

        1. Requests without a valid credential are limited per network address.
        2. A bearer token, if one is sent, must be valid, not revoked and not expired, and its account active.
        3. Otherwise a session must not be over, its account active; a request that changes data needs the CSRF token.
        4. The caller must keep to its rate limit.

        Raises UnauthenticatedError, CsrfError, TooManyRequestsError.
        """
        now = self._clock.now()
        caller = await self._proven(request, now)
        if caller is None:
            # 1.
            self._refuse_stranger(request, now)
        if caller.session_id is not None and request.method not in _SAFE_METHODS:
            await _verify_csrf(request, caller)
        # 4.
        self._of_callers.take(_rate_key(caller), now)
        return caller

    async def admit(self, request: Request) -> None:
        """Check credential and rate before the body is read; ``caller`` counts the request of a known caller.

        Raises UnauthenticatedError, TooManyRequestsError as ``caller`` does.
        """
        now = self._clock.now()
        caller = await self._proven(request, now)
        if caller is None:
            self._refuse_stranger(request, now)
        else:
            self._of_callers.verify(_rate_key(caller), now)

    async def known(self, request: Request) -> Caller | None:
        """Return the caller, or None without a valid credential; for public pages that show more after a sign-in."""
        return await self._proven(request, self._clock.now())

    async def without_use(self, request: Request) -> tuple[Caller, datetime] | None:
        """Return the caller and when its credential ends, or None without a valid one; this does not count as its use.

        For an answer that goes on: an open stream must not keep a session from ending by rest.
        """
        now = self._clock.now()
        authorization, secret = request.headers.get("authorization"), request.cookies.get(SESSION_COOKIE, "")
        if authorization is not None:
            key = b"t" + token_digest(authorization.partition(" ")[2].strip())
        else:
            key = b"s" + session_digest(secret)
        known = await self._store.read(lambda tx: self._read(tx, key, now))
        return None if known is None else (known.caller, known.expires_at)

    def _refuse_stranger(self, request: Request, now: datetime) -> NoReturn:
        self._of_strangers.take(client_address(request), now)
        raise UnauthenticatedError("no bearer token and no session, or not a valid one")

    async def _proven(self, request: Request, now: datetime) -> Caller | None:
        authorization = request.headers.get("authorization")
        if authorization is not None:
            # 2.
            scheme, _, token = authorization.partition(" ")
            token = token.strip()
            if scheme.lower() != "bearer" or not token or len(token) > _MAX_CREDENTIAL_CHARACTERS:
                return None
            return await self._looked_up(b"t" + token_digest(token), now, None)
        # 3.
        secret = request.cookies.get(SESSION_COOKIE)
        if not secret or len(secret) > _MAX_CREDENTIAL_CHARACTERS:
            return None
        return await self._looked_up(b"s" + session_digest(secret), now, secret)

    async def _looked_up(self, key: bytes, now: datetime, secret: str | None) -> Caller | None:
        known = self._known.get(key)
        if known is None or now - known.read_at > _KEPT or now >= known.expires_at:
            self._known.pop(key, None)
            forgotten = self._times_forgotten
            known = await self._store.read(lambda tx: self._read(tx, key, now))
            if known is None:
                return None
            if len(self._known) >= _MAX_KEPT:
                self._known.clear()
            # If the cache was cleared during the read, the result may be outdated and is not cached.
            if forgotten == self._times_forgotten:
                self._known[key] = known
        if now - known.touched_at > _TOUCHED_EVERY:
            await self._touch(key, known, now)
        return known.caller if secret is None else replace(known.caller, csrf_token=csrf_token(secret))

    def _read(self, tx: AccessTransaction, key: bytes, now: datetime) -> _Known | None:
        kind, digest = key[:1], key[1:]
        permissions: frozenset[str] | None = None
        token_id: UUID | None = None
        session_id: UUID | None = None
        method: str | None = None
        if kind == b"t":
            token = tx.tokens.get(digest)
            if token is None or token.revoked_at is not None or now >= token.expires_at:
                return None
            account_id, expires_at, token_id = token.account_id, token.expires_at, token.id
            permissions, touched_at = frozenset(token.permissions), token.last_used_at or token.created_at
        else:
            session = tx.sessions.get(digest)
            if session is None:
                return None
            idle_end = session.last_seen_at + timedelta(seconds=self._settings.session_idle_seconds)
            account_id, expires_at = session.account_id, min(session.expires_at, idle_end)
            session_id, touched_at, method = session.id, session.last_seen_at, session.method
            if now >= expires_at:
                return None
        account = tx.accounts.get(account_id)
        if account is None or not account.active:
            return None
        grants = tuple(tx.accounts.grants(account.id))
        enrols_first = method is not None and must_enrol(method, grants)
        caller = Caller(
            account_id=account.id,
            kind=account.kind,
            name=account.name,
            language=account.language,
            # Without grants the session can only enrol a second factor.
            grants=() if enrols_first else grants,
            token_permissions=permissions,
            token_id=token_id,
            session_id=session_id,
            must_enrol=enrols_first,
            time_zone=account.time_zone or _zone_of_customer(tx, grants),
        )
        return _Known(caller, now, expires_at, touched_at)

    async def _touch(self, key: bytes, known: _Known, now: datetime) -> None:
        """Record the use from time to time, and drop the cached data, so that the next read has the new end."""
        self._known.pop(key, None)
        caller = known.caller
        if caller.token_id is not None:
            token_id = caller.token_id
            await self._store.write(lambda tx: tx.tokens.touch(token_id, now))
        elif caller.session_id is not None:
            session_id = caller.session_id
            await self._store.write(lambda tx: tx.sessions.touch(session_id, now))

    def _forget(self, changed: set[str]) -> None:
        if "access" in changed:
            self._known.clear()
            self._times_forgotten += 1


def _zone_of_customer(tx: AccessTransaction, grants: tuple[Grant, ...]) -> str | None:
    """Return the zone of the customer, for an account that acts only for customers: that of its oldest role."""
    if not grants or any(grant.role not in CUSTOMER_ROLES for grant in grants):
        return None
    customer_id = grants[0].customer_id
    customer = None if customer_id is None else tx.customers.get(customer_id)
    return None if customer is None else customer.time_zone


def _rate_key(caller: Caller) -> str:
    return str(caller.token_id or caller.account_id)


async def _verify_csrf(request: Request, caller: Caller) -> None:
    """Raise CsrfError unless a page of this service sent the request.

    1. If the browser states the origin of the request, it must be this site.
    2. The CSRF token must be in the header or in the form field.
    """
    # 1.
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise CsrfError("the request comes from another site")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise CsrfError("the request comes from another origin")
    # 2.
    proof = request.headers.get(CSRF_HEADER)
    if proof is None and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        form: FormData = await request.form()
        field = form.get(CSRF_FIELD)
        proof = field if isinstance(field, str) else None
    expected = caller.csrf_token or ""
    if proof is None or not expected or not hmac.compare_digest(proof.encode("utf-8", "replace"), expected.encode()):
        # What was uploaded with the form is not kept.
        await request.close()
        raise CsrfError("the proof that our own page sent this is missing or wrong")
