"""The OpenID provider over HTTPS: its discovery document, its keys, and the exchange of codes for tokens.

Requests go only to the configured issuer and to the endpoints that it names. No redirect is followed. Every response is
bounded in size and time.
"""

import asyncio
import hmac
import ipaddress
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx2
import structlog
from joserfc.jwk import Key

from notifications.errors import Fault, InvalidInputError
from notifications.ports import Clock
from service.auth.oidc.refusal import OidcRefusedError
from service.auth.oidc.token import MAX_TOKEN_CHARACTERS, parse_keys
from service.settings.oidc import OidcSettings

_log = structlog.get_logger(__name__)

_MAX_ANSWER_BYTES = 256_000
_MAX_URL_CHARACTERS = 2000
#: Lifetime of cached endpoints and keys. They change rarely, but a withdrawn key must stop being accepted.
_KEPT = timedelta(hours=1)
#: Shortest interval between two fetches of the keys because of a token with an unknown key.
_KEYS_AGAIN = timedelta(seconds=60)
#: Time without requests to a provider that did not answer. It limits the load, because anybody can start sign-ins.
_RESTS = timedelta(seconds=5)
_OK = 200


@dataclass(frozen=True, slots=True)
class Metadata:
    """The values of a discovery document that are used (OpenID Connect Discovery 1.0, 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    #: whether callbacks name the issuer (RFC 9207)
    names_issuer: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens for which a code was exchanged. Neither is stored."""

    unverified_id_token: str
    access_token: str | None


def verify_issuer_url(issuer: str) -> None:
    """Raise InvalidInputError unless an issuer's URL is https, or http to a loopback address."""
    try:
        _verify_url(issuer, issuer)
    except OidcRefusedError:
        raise InvalidInputError(
            Fault("oidc.issuer", "must be an https URL without query and fragment; http is taken on loopback alone")
        ) from None
    if urlsplit(issuer).query:
        raise InvalidInputError(Fault("oidc.issuer", "must have no query"))


def _verify_url(url: object, issuer: str) -> str:
    """Return an endpoint of the issuer; raises OidcRefusedError for an endpoint that is not allowed.

    On the issuer's host, the scheme must be the issuer's. On another host it must be https, and the host must be a name
    and not an address, so that no provider can direct requests to a machine in this network. Plain http is only allowed
    for loopback.
    """
    if not isinstance(url, str) or len(url) > _MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable():
        raise OidcRefusedError("provider_endpoint")
    try:
        parts, own = urlsplit(url), urlsplit(issuer)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise OidcRefusedError("provider_endpoint") from None
    is_clean = (
        bool(host) and parts.username is None and parts.password is None and not parts.fragment and " " not in url
    )
    if parts.scheme == "https":
        is_taken = host == own.hostname or not (_is_loopback(host) or _is_address(host))
    else:
        is_taken = parts.scheme == "http" and _is_loopback(host) and _is_loopback(own.hostname or "")
    if not is_clean or not is_taken:
        raise OidcRefusedError("provider_endpoint")
    return url


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Resolvers also accept addresses such as 0x7f.1. Only a last label that begins with a letter is a name.
        return not host.rstrip(".").rpartition(".")[2][:1].isalpha()
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class OidcProvider:
    """One provider. Its documents are cached for an hour, and there is one request for them at a time."""

    def __init__(self, settings: OidcSettings, clock: Clock, redirect_uri: str) -> None:
        """Raise InvalidInputError for an issuer that is not taken, or a file that cannot be read."""
        verify_issuer_url(settings.issuer)
        self._settings, self._clock, self._redirect_uri = settings, clock, redirect_uri
        self._client_secret = settings.secret()
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=_tls(settings),
            timeout=settings.timeout_seconds,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            limits=httpx2.Limits(max_connections=10),
        )
        self._asking = asyncio.Lock()
        self._metadata: tuple[Metadata, datetime] | None = None
        self._keys: tuple[tuple[Key, ...], datetime] | None = None
        self._failed_at: datetime | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def metadata(self) -> Metadata:
        """Return the provider's metadata; raises OidcRefusedError."""
        async with self._asking:
            now = self._clock.now()
            if self._metadata is None or now - self._metadata[1] > _KEPT:
                if self._failed_at is not None and now - self._failed_at < _RESTS:
                    raise OidcRefusedError("provider_unreachable")
                try:
                    self._metadata = (await self._discover(), now)
                except OidcRefusedError:
                    self._failed_at = now
                    raise
            return self._metadata[0]

    async def _discover(self) -> Metadata:
        issuer = self._settings.issuer
        document = await self._json("GET", f"{issuer.removesuffix('/')}/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise OidcRefusedError("provider_issuer")
        methods = document.get("code_challenge_methods_supported")
        if isinstance(methods, list) and "S256" not in methods:
            raise OidcRefusedError("provider_without_pkce")
        return Metadata(
            authorization_endpoint=_verify_url(document.get("authorization_endpoint"), issuer),
            token_endpoint=_verify_url(document.get("token_endpoint"), issuer),
            jwks_uri=_verify_url(document.get("jwks_uri"), issuer),
            names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        )

    async def keys(self, *, again: bool = False) -> tuple[Key, ...]:
        """Return the provider's signature keys; ``again`` fetches them again, but at most once a minute."""
        metadata = await self.metadata()
        async with self._asking:
            now = self._clock.now()
            age = None if self._keys is None else now - self._keys[1]
            if self._keys is None or age is None or age > _KEPT or (again and age >= _KEYS_AGAIN):
                self._keys = (parse_keys(await self._json("GET", metadata.jwks_uri)), now)
                _log.info("provider_keys.read", keys=len(self._keys[0]))
            return self._keys[0]

    async def exchange(self, code: str, verifier: str) -> Tokens:
        """Exchange a code (RFC 6749, 4.1.3; RFC 7636, 4.5); raises OidcRefusedError."""
        metadata = await self.metadata()
        settings = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        credentials: httpx2.BasicAuth | None = None
        if self._client_secret is None:
            form["client_id"] = settings.client_id
        else:
            # RFC 6749, 2.3.1: both are form-encoded before they are put together.
            credentials = httpx2.BasicAuth(quote_plus(settings.client_id), quote_plus(self._client_secret))
        answer = await self._json("POST", metadata.token_endpoint, form, credentials, refused="code_refused")
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str) or len(id_token) > MAX_TOKEN_CHARACTERS:
            raise OidcRefusedError("token_missing")
        return Tokens(id_token, access_token if isinstance(access_token, str) else None)

    async def _json(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        credentials: httpx2.BasicAuth | None = None,
        *,
        refused: str = "provider_failed",
    ) -> dict[str, Any]:
        """Return the JSON object of a response: status 200, complete, uncompressed, small and in time."""
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._settings.timeout_seconds),
                self._client.stream(method, url, data=form, auth=credentials) as answer,
            ):
                if answer.is_redirect:
                    raise OidcRefusedError("provider_redirects")
                if answer.status_code != _OK or "content-encoding" in answer.headers:
                    raise OidcRefusedError(refused)
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise OidcRefusedError("provider_answer_too_large")
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            # The text of these errors may contain the URL, so only their type is logged.
            _log.warning("provider.unreachable", kind=type(error).__name__)
            raise OidcRefusedError("provider_unreachable") from None
        try:
            document = json.loads(bytes(body))
        except (ValueError, RecursionError):
            raise OidcRefusedError("provider_answer_malformed") from None
        if not isinstance(document, dict):
            raise OidcRefusedError("provider_answer_malformed")
        return document


def _tls(settings: OidcSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInputError(Fault("oidc.ca_file", f"cannot be used: {error}")) from None


def verify_issuer_parameter(stated: str | None, metadata: Metadata, issuer: str) -> None:
    """Raise OidcRefusedError unless the callback comes from the provider of this sign-in (RFC 9207, 2.4)."""
    if stated is None and not metadata.names_issuer:
        return
    if stated is None or not hmac.compare_digest(stated.encode(), issuer.encode()):
        raise OidcRefusedError("callback_issuer")
