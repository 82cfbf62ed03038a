"""Webhooks by HTTPS: only to public addresses, one connection to a pinned address per request, no redirects."""

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpcore2
import structlog

from notifications.delivery.delivery import Outcome, OutcomeKind
from notifications.delivery.webhook import SignatureKind, WebhookEndpoint, WebhookSecret
from notifications.delivery.webhook_message import CONTENT_TYPE, SigningSecret, signed_headers, verify_url
from notifications.errors import Fault, InvalidInputError
from notifications.ports import Clock
from service.crypto.secret_box import SecretBox, SecretUnreadableError
from service.settings.webhooks import WebhookSettings

_log = structlog.get_logger(__name__)

_HTTPS_PORT = 443
_CONNECT_SECONDS = 10.0
_GONE = 410
_READ_AT_MOST_BYTES = 64 * 1024
#: Time limit to read the body. The body is evidence at most; no decision depends on it.
_READ_AT_MOST_SECONDS = 2
_TEXT_CHARACTERS = 200
_NO_ANSWER = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException)
_LONGEST_RETRY_AFTER_SECONDS = 7 * 24 * 3600
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: Addresses that contain an IPv4 address to which packets are routed: 6to4 (RFC 3056) and NAT64 (RFC 6052).
_6TO4 = ipaddress.ip_network("2002::/16")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: Site-local (RFC 3879): deprecated, but still routed inside sites; CPython counts it as global.
_SITE_LOCAL = ipaddress.ip_network("fec0::/10")


class Resolver(Protocol):
    """Resolves names to addresses."""

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses in the order to try; raises OSError if there is none."""
        ...


class SystemResolver:
    """Implements ``Resolver`` by the resolver of the system."""

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses in the order of the system."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(item[4][0]) for item in found))


class RefusedAddressError(Exception):
    """A name resolves to an address to which nothing may be posted."""


class WebhookHttps:
    """Implements ``notifications.ports.WebhookChannel``.

    Each post opens its own connection: posts to one endpoint are rare, and the name of a kept connection may resolve to
    another address by then.
    """

    def __init__(
        self, settings: WebhookSettings, secret_box: SecretBox, clock: Clock, resolver: Resolver | None = None
    ) -> None:
        self._settings, self._secret_box, self._clock = settings, secret_box, clock
        self._resolver = resolver or SystemResolver()
        # A file that cannot be read is refused at the start. The system's authorities are read by the first post.
        self._tls = None if settings.ca_file is None else _trusting(settings.ca_file)
        #: receiver -> end of the certificate that it presented last
        self._certificate_ends: dict[tuple[str, int], datetime] = {}

    def certificate_end(self, url: str) -> datetime | None:
        """Return the end of the certificate that a receiver presented last; None if this process has seen none."""
        parts = urlsplit(url)
        return self._certificate_ends.get((parts.hostname or "", parts.port or _HTTPS_PORT))

    def _note_certificate(self, host: str, port: int, response: httpcore2.Response) -> None:
        stream = response.extensions.get("network_stream")
        ssl_object = None if stream is None else stream.get_extra_info("ssl_object")
        shown = {} if ssl_object is None else ssl_object.getpeercert() or {}
        if "notAfter" in shown:
            seconds = ssl.cert_time_to_seconds(str(shown["notAfter"]))
            self._certificate_ends[host, port] = datetime.fromtimestamp(seconds, UTC)

    async def post(
        self, *, endpoint: WebhookEndpoint, secrets: Sequence[WebhookSecret], message_id: str, content: bytes
    ) -> Outcome:
        """Post the bytes and report the receiver's answer; see the port.

        1. Decrypt the valid secrets and sign. Without a valid secret nothing is sent, because a receiver could not tell
           the message from a forgery.
        2. Resolve the name once; if any address is not public, nothing is sent.
        3. Connect to one of the addresses, verify the certificate for the name, post.
        4. Status and headers decide. The body is read up to a limit of bytes and time; redirects are not followed.
        """
        remote = "an address that is not a URL"
        try:
            verify_url(endpoint.url)
            parts = urlsplit(endpoint.url)
            host, port = parts.hostname or "", parts.port or _HTTPS_PORT
            remote = f"{host}:{port}"
            # 1.
            headers = signed_headers(message_id, content, self._clock.now(), self._opened(secrets))
        except (InvalidInputError, SecretUnreadableError) as error:
            kind = (
                OutcomeKind.REFUSED_HERE if isinstance(error, SecretUnreadableError) else OutcomeKind.PERMANENT_FAILURE
            )
            return _outcome(kind, str(error), remote)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds) as limit:
                # 2.
                addresses = await self._resolver.addresses(host, port)
                verify_public(addresses, allow_private=self._settings.allow_private)
                # 3. and 4.
                return await self._exchange(endpoint.url, host, port, addresses, headers, content, limit)
        except RefusedAddressError as error:
            return _outcome(OutcomeKind.PERMANENT_FAILURE, str(error), remote)
        except TimeoutError:
            return _outcome(OutcomeKind.TRANSIENT_FAILURE, "no whole answer in time", remote)
        except (*_NO_ANSWER, OSError, UnicodeError) as error:
            return _outcome(OutcomeKind.TRANSIENT_FAILURE, _why(error), remote)

    def _opened(self, secrets: Iterable[WebhookSecret]) -> list[SigningSecret]:
        now = self._clock.now()
        return [
            SigningSecret(item.kind, open_secret(self._secret_box, item))
            for item in secrets
            if item.expires_at is None or item.expires_at > now
        ]

    async def _exchange(
        self,
        url: str,
        host: str,
        port: int,
        addresses: Sequence[str],
        headers: dict[str, str],
        content: bytes,
        limit: asyncio.Timeout,
    ) -> Outcome:
        timeouts = {"connect": _CONNECT_SECONDS, "read": None, "write": None, "pool": None}
        backend = _Pinned(host, addresses)
        self._tls = self._tls or _trusting(None)
        async with httpcore2.AsyncConnectionPool(
            ssl_context=self._tls, network_backend=backend, http1=True, http2=False, max_keepalive_connections=0
        ) as pool, pool.stream(
            "POST",
            url,
            headers=[
                ("Host", urlsplit(url).netloc),
                ("User-Agent", "greffier"),
                ("Accept", "*/*"),
                ("Content-Type", CONTENT_TYPE),
                ("Content-Length", str(len(content))),
                ("Connection", "close"),
                *headers.items(),
            ],
            content=content,
            extensions={"timeout": timeouts},
        ) as response:  # fmt: skip
            version, cipher = _tls_of(response)
            self._note_certificate(host, port, response)
            # The receiver has answered: an endless body must not turn the answer into a failure, nor cause a second
            # post.
            limit.reschedule(None)
            text = await _beginning(response)
            return _meaning(
                response.status,
                text,
                None if _is_success(response.status) else _retry_after_seconds(response, self._clock.now()),
                f"{backend.connected or host}:{port}",
                version,
                cipher,
            )


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts a file of authorities, or the system's; raises InvalidInputError for the file."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise InvalidInputError(Fault("webhooks.ca_file", f"cannot be used: {error}")) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def open_secret(secret_box: SecretBox, secret: WebhookSecret) -> bytes:
    """Return the decrypted secret of an endpoint; raises SecretUnreadableError."""
    return secret_box.open(secret.sealed, purpose=f"webhook-{secret.kind.value}", owner=str(secret.id))


def seal_secret(secret_box: SecretBox, kind: SignatureKind, owner: str, plaintext: bytes) -> bytes:
    """Return the encrypted secret for the store; ``owner`` is the secret's id."""
    return secret_box.seal(plaintext, purpose=f"webhook-{kind.value}", owner=owner)


def verify_public(addresses: Sequence[str], *, allow_private: bool) -> None:
    """Raise RefusedAddressError unless every address is public, in whatever notation it is written."""
    if not addresses:
        raise RefusedAddressError("the name has no address")
    if allow_private:
        return
    for text in addresses:
        address = _bare(ipaddress.ip_address(text.partition("%")[0]))
        if (
            not address.is_global
            or address.is_multicast
            or address.is_reserved
            or address.is_unspecified
            or address in _SITE_LOCAL
        ):
            raise RefusedAddressError("the name leads to an address that is not public; nothing was sent")


def _bare(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address within an IPv6 address if packets are routed to it; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _6TO4 and address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


class _Pinned(httpcore2.AsyncNetworkBackend):
    """Connects only to the checked addresses, even if the name resolves to others by now."""

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        self._host, self._addresses = host, addresses
        self._inner = httpcore2.AnyIOBackend()
        #: the address that accepted the connection
        self.connected: str | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of the library
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        if host != self._host:
            raise httpcore2.ConnectError("not the host whose addresses were checked")
        failure: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses:
            try:
                stream = await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                self.connected = address
                return stream
        raise failure

    async def connect_unix_socket(self, *_arguments: Any, **_options: Any) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError("no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _beginning(response: httpcore2.Response) -> str:
    """Return the beginning of the body in one line, within the limits of bytes and time."""
    body = b""
    with contextlib.suppress(TimeoutError, *_NO_ANSWER, OSError):
        async with asyncio.timeout(_READ_AT_MOST_SECONDS):
            async for part in response.aiter_stream():
                body += part
                if len(body) >= _READ_AT_MOST_BYTES:
                    break
    text = body[: 4 * _TEXT_CHARACTERS].decode("utf-8", "replace")
    return " ".join(_CONTROLS.sub(" ", text).split())[:_TEXT_CHARACTERS]


def _meaning(
    status: int, text: str, retry_after: int | None, remote: str, version: str | None, cipher: str | None
) -> Outcome:
    kind = OutcomeKind.TRANSIENT_FAILURE
    if _is_success(status):
        kind = OutcomeKind.ACCEPTED
    elif 300 <= status < 400:  # noqa: PLR2004 - redirection
        text = f"a redirect, which is not followed {text}".rstrip()
    elif status == _GONE:
        kind = OutcomeKind.PERMANENT_FAILURE
        text = f"gone {text}".rstrip()
    return Outcome(
        kind=kind,
        code=status,
        enhanced_status=None,
        text=text,
        queue_id=None,
        tls_version=version,
        tls_cipher=cipher,
        remote=remote,
        retry_after_seconds=retry_after,
    )


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - as HTTP numbers it


def _outcome(kind: OutcomeKind, text: str, remote: str) -> Outcome:
    _log.info("webhook.refused", kind=kind.value, remote=remote)
    said = " ".join(_CONTROLS.sub(" ", text).split())[:_TEXT_CHARACTERS]
    return Outcome.failure(kind, said, remote=remote)


def _why(error: BaseException) -> str:
    """Return what failed, from the first error in the chain of causes that has a text; the outermost often has none."""
    cause: BaseException | None = error
    while cause is not None:
        if str(cause):
            return f"{type(error).__name__}: {cause}"
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: the connection was closed"


def _tls_of(response: httpcore2.Response) -> tuple[str | None, str | None]:
    stream = response.extensions.get("network_stream")
    ssl_object = None if stream is None else stream.get_extra_info("ssl_object")
    if ssl_object is None:
        return None, None
    cipher = ssl_object.cipher()
    return ssl_object.version(), cipher[0] if cipher else None


def _retry_after_seconds(response: httpcore2.Response, now: datetime) -> int | None:
    """Return Retry-After in seconds (RFC 9110, 10.2.3: seconds or a date), or None if it is missing or unreadable."""
    for name, value in response.headers:
        if name.lower() == b"retry-after":
            text = value.decode("ascii", "replace").strip()
            if text.isdecimal():
                return min(int(text[:9]), _LONGEST_RETRY_AFTER_SECONDS)
            try:
                seconds = (parsedate_to_datetime(text) - now).total_seconds()
            except (ValueError, TypeError, OverflowError):
                # A header that cannot be parsed counts as missing: a year of twenty digits overflows.
                return None
            return min(max(0, round(seconds)), _LONGEST_RETRY_AFTER_SECONDS)
    return None
