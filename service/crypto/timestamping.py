"""Timestamp authorities (RFC 3161): one in this process, and any other by HTTP."""

import asyncio
import hashlib
import ipaddress
import secrets
import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from cryptography import x509
from rfc3161_client import HashAlgorithm, TimeStampRequest, TimestampRequestBuilder

from notifications.crypto.der import parse_timestamp_reply
from notifications.crypto.timestamps import VerifiedTimestamp, refusal_of, verify_timestamp
from notifications.errors import (
    Fault,
    InvalidInputError,
    SealingUnavailableError,
    TimestampUnavailableError,
    VerificationError,
)
from notifications.ports import Clock
from service.crypto.key_files import Passphrases, load_chain, load_private_key
from service.crypto.timestamp_token import TimestampKey, timestamp_reply
from service.settings.signing import AHEAD_SECONDS
from service.system.logging import SystemClock

_QUERY_TYPE = "application/timestamp-query"
_REPLY_TYPE = "application/timestamp-reply"
_MAX_REPLY_BYTES = 100_000
#: So many random bits that no two tokens ever get the same number.
_SERIAL_BITS = 128


class EmbeddedTimestampAuthority:
    """Implements ``notifications.ports.TimestampAuthority`` in this process. Not independent, and says so."""

    def __init__(self, key_file: Path, chain_file: Path, passphrases: Passphrases) -> None:
        key = load_private_key(key_file, passphrases)
        if not isinstance(key, TimestampKey):
            raise SealingUnavailableError(
                f"key {key_file} of the embedded timestamp authority is neither ECDSA nor RSA"
            )
        leaf, *roots = load_chain(chain_file)
        self._roots = roots
        self._key = key
        self.certificate = leaf
        # One thread: several would only take the interpreter from requests, and none would be faster.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="timestamps")

    @property
    def independent(self) -> bool:
        """Whether the authority is another party than the provider: this one never is."""
        return False

    async def timestamp(self, content: bytes) -> bytes:
        """Return a TimeStampResp (DER) over SHA-256 of the content; see the port."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._timestamp, content)

    def _timestamp(self, content: bytes) -> bytes:
        request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
        reply = self.reply(hashlib.sha256(content).digest(), request.nonce)
        verify_reply(reply, request, content, self._roots)
        return reply

    def reply(self, digest: bytes, nonce: int | None) -> bytes:
        """Return a TimeStampResp (DER) over a SHA-256 digest, as a request with this nonce asks for it."""
        return timestamp_reply(
            digest,
            serial=secrets.randbits(_SERIAL_BITS),
            nonce=nonce,
            at=datetime.now(UTC),
            certificate=self.certificate,
            key=self._key,
        )


class HttpTimestampAuthority:
    """Implements ``notifications.ports.TimestampAuthority`` on the URL of an authority (RFC 3161, 3.4)."""

    def __init__(
        self,
        url: str,
        roots: Sequence[x509.Certificate],
        *,
        independent: bool,
        timeout_seconds: float,
        ahead_seconds: float = AHEAD_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
        except ValueError as error:
            raise InvalidInputError(Fault("timestamps.url", f"is no URL: {error}")) from None
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
            raise InvalidInputError(Fault("timestamps.url", "must be https, or http to a loopback address"))
        if not parts.hostname:
            raise InvalidInputError(Fault("timestamps.url", "names no host"))
        if not roots:
            raise InvalidInputError(Fault("timestamps.ca_file", "holds no certificate"))
        self._url, self._roots, self._independent = url, list(roots), independent
        self._timeout_seconds, self._ahead_seconds = timeout_seconds, ahead_seconds
        self._clock = clock or SystemClock()
        self._client = httpx2.AsyncClient(timeout=timeout_seconds, follow_redirects=False)

    @property
    def independent(self) -> bool:
        """Whether the authority is another party than the provider."""
        return self._independent

    async def timestamp(self, content: bytes) -> bytes:
        """Return a TimeStampResp (DER) over SHA-256 of the content; see the port."""
        request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
        try:
            # The client's timeout is per read: an authority that drips would hold up notices for ever.
            async with asyncio.timeout(self._timeout_seconds):
                reply = await self._post(request.as_bytes())
        except TimeoutError as error:
            raise TimestampUnavailableError(f"the authority did not answer in {self._timeout_seconds:g} s") from error
        except httpx2.HTTPError as error:
            raise TimestampUnavailableError(
                f"the authority cannot be reached: {error or type(error).__name__}"
            ) from error
        stated = verify_reply(reply, request, content, self._roots)
        _verify_not_ahead(stated, self._clock.now(), self._ahead_seconds)
        return reply

    async def _post(self, request: bytes) -> bytes:
        # Compressed, a short reply could become a long one.
        headers = {"Content-Type": _QUERY_TYPE, "Accept": _REPLY_TYPE, "Accept-Encoding": "identity"}
        async with self._client.stream("POST", self._url, content=request, headers=headers) as response:
            if response.status_code != httpx2.codes.OK:
                raise TimestampUnavailableError(f"the authority answered HTTP {response.status_code}")
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != _REPLY_TYPE:
                raise TimestampUnavailableError("the authority answered something that is no timestamp reply")
            reply = b""
            async for chunk in response.aiter_raw():
                reply += chunk
                if len(reply) > _MAX_REPLY_BYTES:
                    raise TimestampUnavailableError("the authority's reply is too long")
            return reply

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def verify_reply(
    reply: bytes, request: TimeStampRequest, content: bytes, roots: Sequence[x509.Certificate]
) -> VerifiedTimestamp:
    """Return what the token states; raises TimestampUnavailableError, with the reason in words, for any other reply.

    The token answers the request, over the content, under a trusted root. NOT checked: whether its time is plausible.
    """
    try:
        refusal = refusal_of(parse_timestamp_reply(reply))
    except InvalidInputError as error:
        reason = error.faults[0].reason
        raise TimestampUnavailableError(f"the authority's reply cannot be parsed: {reason}") from error
    if refusal is not None:
        raise TimestampUnavailableError(refusal)
    try:
        return verify_timestamp(reply, content, roots, "timestamp", nonce=request.nonce)
    except VerificationError as error:
        raise TimestampUnavailableError(error.reason) from error


def _verify_not_ahead(stated: VerifiedTimestamp, now: datetime, ahead_seconds: float) -> None:
    """Raise TimestampUnavailableError for a time that this machine's clock has not reached, by more than is allowed."""
    ahead = stated.at - stated.accuracy - now
    if ahead > timedelta(seconds=ahead_seconds):
        span = timedelta(minutes=round(ahead / timedelta(minutes=1)))
        raise TimestampUnavailableError(
            f"the token is dated {span} ahead of this machine's clock: the authority's clock or this one is wrong"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
